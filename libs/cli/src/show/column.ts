import { type Column, ColumnType } from '@millrace/contracts/common';

/** The value of a column in a row; moments as ISO 8601; null where it has none. */
export function valueAt(column: Column, row: number): string | number | bigint | boolean | null {
  const { validity, type } = column;
  if (validity.length > 0 && ((validity[row >> 3] ?? 0) & (1 << (row & 7))) === 0) return null;
  switch (type) {
    case ColumnType.BOOL:
      return column.bools[row] ?? null;
    case ColumnType.INT64:
      return column.int64s[row] ?? null;
    case ColumnType.DOUBLE:
      return column.doubles[row] ?? null;
    case ColumnType.TIMESTAMP:
      return new Date(Number(column.int64s[row] ?? 0n) / 1000).toISOString();
    default:
      return column.strings[row] ?? null;
  }
}
