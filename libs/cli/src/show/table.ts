import { clean, clip, widthOf } from './text.ts';

/** A column of a table. */
export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  /** @default left */
  readonly align?: 'right';
  /** May be cut when the table is wider than the terminal. */
  readonly shrink?: boolean;
}

const gap = '  ';
const narrowest = 8;

/**
 * The lines of a table: titles in capitals, columns as wide as their widest cell, cut to `width` where columns may shrink.
 */
export function tableLines<T>(rows: readonly T[], columns: readonly Column<T>[], width: number): string[] {
  const cells = rows.map((row) => columns.map((column) => clean(column.value(row)) || '-'));
  const titles = columns.map((column) => column.title.toUpperCase());
  const natural = columns.map((_, i) =>
    cells.reduce((widest, row) => Math.max(widest, widthOf(row[i]!)), widthOf(titles[i]!)),
  );
  const widths = shrink(natural, columns, width);
  return [titles, ...cells].map((row) => {
    const padded = row.map((cell, i) => pad(clip(cell, widths[i]!), widths[i]!, columns[i]!.align));
    return padded.join(gap).trimEnd();
  });
}

/** Takes from the widest of the columns that may shrink, until the table fits or none is left. */
function shrink<T>(natural: readonly number[], columns: readonly Column<T>[], width: number): number[] {
  const widths = [...natural];
  let over = widths.reduce((sum, one) => sum + one, gap.length * (widths.length - 1)) - width;
  while (over > 0) {
    let widest = -1;
    for (const [i, column] of columns.entries())
      if (column.shrink && widths[i]! > narrowest && (widest < 0 || widths[i]! > widths[widest]!)) widest = i;
    if (widest < 0) break;
    widths[widest]!--;
    over--;
  }
  return widths;
}

function pad(text: string, width: number, align: 'right' | undefined): string {
  const room = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'right' ? room + text : text + room;
}
