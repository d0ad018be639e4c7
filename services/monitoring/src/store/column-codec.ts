import { type Column, type ColumnBatch, ColumnType } from '@millrace/contracts/common';
import { invalidField } from '@millrace/errors';
import type { ColumnData } from '../domain/column.ts';

/** A column as it lies in a document: numbers as their little-endian bytes, categories as JSON. */
export interface StoredColumn {
  readonly name: string;
  readonly kind: ColumnData['kind'];
  readonly bytes: Uint8Array;
}

/** Numbers of a stored column; a copy, so that its bytes need not be aligned. */
export function toNumbers(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.slice().buffer);
}

/** The bytes of numbers. */
export function toBytes(values: Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** About how much memory a column takes: 8 bytes for a number, 48 and its characters for a text. */
export function bytesOf(data: ColumnData): number {
  if (data.kind === 'number') return data.values.byteLength;
  return data.values.reduce((sum, value) => sum + 48 + 2 * (value?.length ?? 0), 0);
}

export function encodeColumn(data: ColumnData): StoredColumn {
  const bytes = data.kind === 'number' ? toBytes(data.values) : Buffer.from(JSON.stringify(data.values));
  return { name: data.name, kind: data.kind, bytes };
}

export function decodeColumn({ name, kind, bytes }: StoredColumn): ColumnData {
  if (kind === 'number') return { name, kind, values: toNumbers(bytes) };
  return { name, kind, values: JSON.parse(Buffer.from(bytes).toString('utf8')) as (string | null)[] };
}

/** Joins the parts of one column in order. */
export function joinColumns(parts: readonly ColumnData[]): ColumnData {
  const [first] = parts;
  if (!first) throw new RangeError('no parts to join');
  if (first.kind === 'category') {
    return { ...first, values: parts.flatMap((part) => (part.kind === 'category' ? part.values : [])) };
  }
  const values = new Float64Array(parts.reduce((sum, part) => sum + part.values.length, 0));
  let at = 0;
  for (const part of parts) {
    if (part.kind !== 'number') continue;
    values.set(part.values, at);
    at += part.values.length;
  }
  return { ...first, values };
}

/** Some rows of a column, each at most once and in their order; the column itself when that is all of them. */
export function pickRows(data: ColumnData, rows: readonly number[]): ColumnData {
  if (rows.length === data.values.length) return data;
  if (data.kind === 'number') {
    // Loops here and below: `Float64Array.from` goes through an iterator, which takes several times as long.
    const values = new Float64Array(rows.length);
    for (const [i, row] of rows.entries()) values[i] = data.values[row] ?? Number.NaN;
    return { ...data, values };
  }
  return { ...data, values: rows.map((row) => data.values[row] ?? null) };
}

/** The columns of a wire batch. INVALID_FIELD when a column does not have a value for each row, or a name stands twice. */
export function fromBatch(batch: ColumnBatch | undefined, field: string): ColumnData[] {
  const seen = new Set<string>();
  return (batch?.columns ?? []).map((column, i) => {
    const path = `${field}.columns[${i}]`;
    if (seen.has(column.name))
      throw invalidField(`${path}.name`, `${column.name} stands twice`, 'each name once');
    seen.add(column.name);
    return fromColumn(column, batch?.rowCount ?? 0, path);
  });
}

function fromColumn(column: Column, rowCount: number, path: string): ColumnData {
  const { name } = column;
  const values = valuesOf(column);
  if (values.length !== rowCount)
    throw invalidField(path, `has ${values.length} values`, `${rowCount}, one for each row`);
  if (column.validity.length > 0 && column.validity.length < Math.ceil(rowCount / 8)) {
    throw invalidField(
      `${path}.validity`,
      `has ${column.validity.length} bytes`,
      `${Math.ceil(rowCount / 8)}, or none`,
    );
  }
  const valid = (row: number) =>
    column.validity.length === 0 || ((column.validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
  if (column.type === ColumnType.STRING || column.type === ColumnType.BOOL) {
    return {
      name,
      kind: 'category',
      values: Array.from(values, (value, row) => (valid(row) ? String(value) : null)),
    };
  }
  const numbers = new Float64Array(values.length);
  for (let row = 0; row < numbers.length; row++) numbers[row] = valid(row) ? Number(values[row]) : Number.NaN;
  return { name, kind: 'number', values: numbers };
}

function valuesOf(column: Column): readonly (boolean | bigint | number | string)[] {
  switch (column.type) {
    case ColumnType.BOOL:
      return column.bools;
    case ColumnType.STRING:
      return column.strings;
    case ColumnType.DOUBLE:
      return column.doubles;
    default:
      return column.int64s;
  }
}
