import { create } from '@bufbuild/protobuf';
import { type Column, type ColumnBatch, ColumnBatchSchema, ColumnType } from '@millrace/contracts/common';
import { invalidField } from '@millrace/errors';

/** One column of values. Null and undefined are rows without a value; numbers may be NaN. */
export type ColumnValues =
  | { readonly type: 'bool'; readonly values: readonly (boolean | null | undefined)[] }
  | { readonly type: 'int64'; readonly values: readonly (bigint | number | null | undefined)[] }
  | { readonly type: 'double'; readonly values: ArrayLike<number | null | undefined> }
  | { readonly type: 'string'; readonly values: readonly (string | null | undefined)[] }
  /** Milliseconds since 1970. */
  | { readonly type: 'timestamp'; readonly values: ArrayLike<number | null | undefined> };

/** Makes a batch of named columns, all of the same length. INVALID_FIELD when their lengths differ. */
export function toBatch(columns: Readonly<Record<string, ColumnValues>>): ColumnBatch {
  const entries = Object.entries(columns);
  const rowCount = entries[0]?.[1].values.length ?? 0;
  return create(ColumnBatchSchema, {
    rowCount,
    columns: entries.map(([name, column]) => {
      if (column.values.length !== rowCount) {
        throw invalidField(name, `has ${column.values.length} values`, `${rowCount}, as the first column`);
      }
      return { name, validity: validityOf(column.values), ...wireValues(column) };
    }),
  });
}

function wireValues(column: ColumnValues) {
  switch (column.type) {
    case 'bool':
      return { type: ColumnType.BOOL, bools: column.values.map((value) => value ?? false) };
    case 'int64':
      return { type: ColumnType.INT64, int64s: column.values.map((value) => BigInt(value ?? 0)) };
    case 'double':
      return { type: ColumnType.DOUBLE, doubles: Array.from(column.values, (value) => value ?? 0) };
    case 'string':
      return { type: ColumnType.STRING, strings: column.values.map((value) => value ?? '') };
    case 'timestamp':
      return {
        type: ColumnType.TIMESTAMP,
        int64s: Array.from(column.values, (value) => BigInt(Math.round((value ?? 0) * 1000))),
      };
  }
}

/** One bit for each row, 1 where there is a value; empty when every row has one. */
function validityOf(values: ArrayLike<unknown>): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  let missing = false;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === null || values[i] === undefined) missing = true;
    else bits[i >> 3]! |= 1 << (i & 7);
  }
  return missing ? bits : new Uint8Array();
}

/** Whether a row of a column has a value. */
export function hasValue(column: Column, row: number): boolean {
  return column.validity.length === 0 || ((column.validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
}

/** The column of that name; INVALID_FIELD with the names there are when there is none. */
export function columnOf(batch: ColumnBatch, name: string): Column {
  const found = batch.columns.find((column) => column.name === name);
  if (found) return found;
  throw invalidField('column', `${name} is not there`, batch.columns.map((column) => column.name).join(', '));
}

/** A column as numbers: truth values as 0 and 1, moments in milliseconds since 1970, rows without a value as NaN. */
export function numbersOf(column: Column): Float64Array {
  const values: ArrayLike<number | bigint | boolean> =
    column.type === ColumnType.DOUBLE
      ? column.doubles
      : column.type === ColumnType.BOOL
        ? column.bools
        : column.int64s;
  const divisor = column.type === ColumnType.TIMESTAMP ? 1000 : 1;
  return Float64Array.from(values, (value, row) =>
    hasValue(column, row) ? Number(value) / divisor : Number.NaN,
  );
}

/** A column as texts; rows without a value are null. */
export function stringsOf(column: Column): (string | null)[] {
  return column.strings.map((value, row) => (hasValue(column, row) ? value : null));
}
