import { type Column, ColumnType } from '@millrace/contracts/common';
import type { ColumnValue } from '../domain/columns.ts';

/** The values of a column; null where its row has none. */
export function columnValues(column: Column | undefined): ColumnValue[] {
  if (!column) return [];
  const { bools, int64s, doubles, strings, validity } = column;
  const all: readonly ColumnValue[] =
    column.type === ColumnType.BOOL
      ? bools
      : column.type === ColumnType.DOUBLE
        ? doubles
        : column.type === ColumnType.STRING
          ? strings
          : int64s;
  const valid = (row: number) =>
    validity.length === 0 || (((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 1;
  return all.map((value, row) => (valid(row) ? value : null));
}
