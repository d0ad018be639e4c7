import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type Column,
  type ColumnBatch,
  type ColumnBatchSchema,
  ColumnSchema,
  ColumnType as WireType,
} from '@millrace/contracts/common';
import { invalidField } from '@millrace/errors';
import type { ColumnType } from './domain/definition.ts';
import type { Cell } from './domain/plan.ts';
import type { Table, TableColumn } from './domain/table.ts';

/** Column types as messages spell them. */
export const wireTypes: Readonly<Record<ColumnType, WireType>> = {
  bool: WireType.BOOL,
  int64: WireType.INT64,
  double: WireType.DOUBLE,
  string: WireType.STRING,
  timestamp: WireType.TIMESTAMP,
};

/** The column type of a message; undefined when it is none. */
export function typeOfWire(type: WireType): ColumnType | undefined {
  return (Object.keys(wireTypes) as ColumnType[]).find((name) => wireTypes[name] === type);
}

/** Reads a batch, checking that every column has its rows; `field` is the batch's path for refusals. */
export function readBatch(batch: ColumnBatch, field: string, maxRows: number): Table {
  const { rowCount } = batch;
  if (rowCount > maxRows) throw invalidField(`${field}.row_count`, `${rowCount} rows`, `at most ${maxRows}`);
  if (batch.columns.length > 1024)
    throw invalidField(`${field}.columns`, 'too many columns', 'at most 1,024');
  const seen = new Set<string>();
  const columns = batch.columns.map((column, i) => {
    const path = `${field}.columns[${i}]`;
    if (seen.has(column.name))
      throw invalidField(`${path}.name`, `${column.name} is there twice`, 'unique names');
    seen.add(column.name);
    return readColumn(column, rowCount, path);
  });
  return { rowCount, columns };
}

function readColumn(column: Column, rowCount: number, path: string): TableColumn {
  const type = typeOfWire(column.type);
  if (!type) throw invalidField(`${path}.type`, 'not given', Object.keys(wireTypes).join(', '));
  const { list, name } = listOf(column, type);
  if (list.length !== rowCount) {
    throw invalidField(`${path}.${name}`, `${list.length} values for ${rowCount} rows`, 'one for each row');
  }
  const { validity } = column;
  if (validity.length === 0) return { name: column.name, type, cells: list };
  if (validity.length < Math.ceil(rowCount / 8)) {
    throw invalidField(
      `${path}.validity`,
      `${validity.length} bytes for ${rowCount} rows`,
      'one bit for each row',
    );
  }
  const cells = list.map((cell, i) => (((validity[i >> 3] ?? 0) >> (i & 7)) & 1 ? cell : null));
  return { name: column.name, type, cells };
}

function listOf(column: Column, type: ColumnType): { list: readonly Cell[]; name: string } {
  switch (type) {
    case 'bool':
      return { list: column.bools, name: 'bools' };
    case 'int64':
    case 'timestamp':
      return { list: column.int64s, name: 'int64s' };
    case 'double':
      return { list: column.doubles, name: 'doubles' };
    case 'string':
      return { list: column.strings, name: 'strings' };
  }
}

/** Writes a table as a batch. */
export function writeBatch(table: Table): MessageInitShape<typeof ColumnBatchSchema> {
  return { rowCount: table.rowCount, columns: table.columns.map(writeColumn) };
}

/** Writes one column; null rows get a filler and a clear bit. */
export function writeColumn({ name, type, cells }: TableColumn): Column {
  const column = create(ColumnSchema, { name, type: wireTypes[type] });
  if (cells.includes(null)) {
    const validity = new Uint8Array(Math.ceil(cells.length / 8));
    cells.forEach((cell, i) => {
      if (cell !== null) validity[i >> 3] = validity[i >> 3]! | (1 << (i & 7));
    });
    column.validity = validity;
  }
  fill(column, type, cells);
  return column;
}

function fill(column: Column, type: ColumnType, cells: readonly Cell[]): void {
  switch (type) {
    case 'bool':
      column.bools = cells.map((c) => c === true);
      return;
    case 'int64':
    case 'timestamp':
      column.int64s = cells.map((c) => (typeof c === 'bigint' ? c : 0n));
      return;
    case 'double':
      column.doubles = cells.map((c) => (typeof c === 'number' ? c : 0));
      return;
    case 'string':
      column.strings = cells.map((c) => (typeof c === 'string' ? c : ''));
      return;
  }
}
