import { invalidField } from '@millrace/errors';
import type { FeatureView } from './definition.ts';
import type { Entry } from './history.ts';
import { keyOf } from './key.ts';
import type { Cell, ViewPlan } from './plan.ts';
import { columnOf, type Table, type TableColumn } from './table.ts';
import { maxTimeUs } from './time.ts';

/**
 * Checks rows against a view and gives them the view's columns, in its order; columns left out are null. Whole numbers
 * are taken where the view has DOUBLE. INVALID_FIELD with the column at fault below `field`.
 */
export function checkRows(view: FeatureView, table: Table, field: string): Table {
  const schema = new Map(view.columns.map((c) => [c.name, c]));
  const needed = [...view.joinKeys.map((k) => k.name), view.timestampColumn];
  table.columns.forEach(({ name, type }, i) => {
    const wanted = schema.get(name);
    const path = `${field}.columns[${i}]`;
    if (!wanted)
      throw invalidField(`${path}.name`, `the view has no column ${name}`, [...schema.keys()].join(', '));
    if (wanted.type !== type && !(wanted.type === 'double' && type === 'int64')) {
      throw invalidField(`${path}.type`, `${name} is ${type}`, wanted.type);
    }
  });
  for (const name of needed) {
    const column = columnOf(table, name);
    if (!column) throw invalidField(`${field}.columns`, `there is no column ${name}`, needed.join(', '));
    const path = `${field}.columns[${table.columns.indexOf(column)}]`;
    const none = column.cells.indexOf(null);
    if (none >= 0)
      throw invalidField(`${path}.validity`, `${name} is null in row ${none}`, 'a value in each row');
    if (name === view.timestampColumn) checkTimes(column, path);
  }
  return fitTable(view, table);
}

function checkTimes({ name, cells }: TableColumn, path: string): void {
  const far = cells.findIndex((us) => us !== null && Math.abs(Number(us)) > maxTimeUs);
  if (far >= 0) throw invalidField(`${path}.int64s`, `${name} of row ${far} is too far`, 'years up to 2255');
}

/** Rows with exactly the view's columns, as far as they have them. */
export function fitTable(view: FeatureView, table: Table): Table {
  const columns = view.columns.map(({ name, type }): TableColumn => {
    const given = columnOf(table, name);
    if (given?.type === type) return given;
    if (given?.type === 'int64' && type === 'double') {
      return { name, type, cells: given.cells.map((c) => (c === null ? null : Number(c))) };
    }
    return { name, type, cells: new Array<Cell>(table.rowCount).fill(null) };
  });
  return { rowCount: table.rowCount, columns };
}

/** The rows of one key as the online store takes them. */
export interface GroupedRows {
  readonly key: string;
  readonly raw: Float64Array;
  readonly entries: readonly Entry[];
}

/** Groups fitted rows by key. */
export function groupRows(view: FeatureView, plan: ViewPlan, table: Table): readonly GroupedRows[] {
  const cellsOf = (name: string) => columnOf(table, name)?.cells ?? [];
  const keys = view.joinKeys.map((k) => cellsOf(k.name));
  const times = cellsOf(view.timestampColumn);
  const created = view.createdColumn === '' ? [] : cellsOf(view.createdColumn);
  const measures = plan.measures.map((m) => cellsOf(m.column));
  const plain = plan.plain.map(cellsOf);
  const groups = new Map<string, { raw: number[]; entries: Entry[] }>();
  for (let row = 0; row < table.rowCount; row++) {
    const key = keyOf(keys.map((cells) => cells[row] ?? null));
    if (key === undefined || times[row] === null) continue;
    const timeUs = Number(times[row]);
    let group = groups.get(key);
    if (!group) {
      group = { raw: [], entries: [] };
      groups.set(key, group);
    }
    group.raw.push(timeUs, ...measures.map((cells) => measureOf(cells[row] ?? null)));
    if (plain.length > 0) {
      const made = created[row] ?? null;
      const cells = plain.map((column) => column[row] ?? null);
      group.entries.push({ timeUs, createdUs: made === null ? null : Number(made), cells });
    }
  }
  return [...groups].map(([key, { raw, entries }]) => ({ key, raw: Float64Array.from(raw), entries }));
}

const measureOf = (cell: Cell): number =>
  cell === null || typeof cell === 'string' ? Number.NaN : Number(cell);
