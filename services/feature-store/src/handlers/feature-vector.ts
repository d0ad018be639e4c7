import { create, type UnknownField } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ColumnSchema } from '@millrace/contracts/common';
import {
  FeatureVectorSchema,
  type GetOnlineFeaturesResponse,
  GetOnlineFeaturesResponseSchema,
} from '@millrace/contracts/features';
import { wireTypes } from '../batch.ts';
import type { ColumnType } from '../domain/definition.ts';
import type { Cell } from '../domain/plan.ts';
import type { OnlineColumn } from '../online/read.ts';

/** One feature of all rows, to be written. */
export interface Vector {
  /** `view:feature` */
  readonly feature: string;
  readonly viewVersion: number;
  /** The name of the answer's column. */
  readonly name: string;
  readonly type: ColumnType;
  readonly column: OnlineColumn;
}

const vector = FeatureVectorSchema.field;
const column = ColumnSchema.field;

type Field = { readonly number: number };

/**
 * The answer, its vectors as the bytes that they are on the wire: the message carries them as it would fields that it
 * does not know. As message objects each value, status and time would be boxed, checked and written one by one, which
 * took most of a read of a hundred keys.
 */
export function responseOf(rowCount: number, vectors: readonly Vector[]): GetOnlineFeaturesResponse {
  const response = create(GetOnlineFeaturesResponseSchema, { rowCount });
  const no = GetOnlineFeaturesResponseSchema.field.features.number;
  // One writer for all: it keeps its memory from one to the next.
  const writer = new BinaryWriter();
  response.$unknown = vectors.map((one): UnknownField => {
    writeVector(writer, one);
    return { no, wireType: WireType.LengthDelimited, data: writer.finish() };
  });
  return response;
}

/** Writes a FeatureVector, its length before it. */
function writeVector(writer: BinaryWriter, { feature, viewVersion, name, type, column: of }: Vector): void {
  writer.fork();
  writer.tag(vector.feature.number, WireType.LengthDelimited).string(feature);
  writer.tag(vector.viewVersion.number, WireType.Varint).int32(viewVersion);
  writer.tag(vector.values.number, WireType.LengthDelimited).fork();
  writer.tag(column.name.number, WireType.LengthDelimited).string(name);
  writer.tag(column.type.number, WireType.Varint).int32(wireTypes[type]);
  writeCells(writer, type, of.cells);
  writer.join();
  // Each is a varint of one byte.
  bytes(writer, vector.statuses, of.statuses);
  bytes(writer, vector.eventTimes, bytesOf(of.timesUs));
  writer.join();
}

/** The values of a column; null rows get a filler and a clear bit. */
function writeCells(writer: BinaryWriter, type: ColumnType, cells: readonly Cell[]): void {
  if (cells.includes(null)) bytes(writer, column.validity, validityOf(cells));
  switch (type) {
    case 'bool':
      bytes(writer, column.bools, Uint8Array.from(cells, Number));
      break;
    case 'int64':
    case 'timestamp':
      bytes(writer, column.int64s, bytesOf(BigInt64Array.from(cells, (cell) => (cell ?? 0n) as bigint)));
      break;
    case 'double':
      bytes(writer, column.doubles, bytesOf(numbersOf(cells)));
      break;
    case 'string':
      for (const cell of cells)
        writer.tag(column.strings.number, WireType.LengthDelimited).string((cell ?? '') as string);
      break;
  }
}

/** By a loop: `Float64Array.from` goes through an iterator, which takes several times as long. */
function numbersOf(cells: readonly Cell[]): Float64Array {
  const numbers = new Float64Array(cells.length);
  for (let i = 0; i < cells.length; i++) numbers[i] = cells[i] as number;
  return numbers;
}

function validityOf(cells: readonly Cell[]): Uint8Array {
  const validity = new Uint8Array(Math.ceil(cells.length / 8));
  cells.forEach((cell, i) => {
    if (cell !== null) validity[i >> 3]! |= 1 << (i & 7);
  });
  return validity;
}

function bytes(writer: BinaryWriter, field: Field, value: Uint8Array): void {
  if (value.length > 0) writer.tag(field.number, WireType.LengthDelimited).bytes(value);
}

/** The machine's own order of bytes is little-endian wherever Node runs, as that of the wire. */
function bytesOf({ buffer, byteOffset, byteLength }: BigInt64Array | Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
