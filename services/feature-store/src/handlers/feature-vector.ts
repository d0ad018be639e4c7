import { create, type UnknownField } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ColumnSchema } from '@millrace/contracts/common';
import {
  FeatureStatus,
  FeatureVectorSchema,
  type GetOnlineFeaturesResponse,
  GetOnlineFeaturesResponseSchema,
} from '@millrace/contracts/features';
import { wireTypes } from '../batch.ts';
import type { ColumnType } from '../domain/definition.ts';
import type { Cell } from '../domain/plan.ts';
import { type OnlineColumn, type Status, statuses } from '../online/read.ts';

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

const wireStatuses: Readonly<Record<Status, FeatureStatus>> = {
  present: FeatureStatus.PRESENT,
  null: FeatureStatus.NULL_VALUE,
  not_found: FeatureStatus.NOT_FOUND,
  outside_max_age: FeatureStatus.OUTSIDE_MAX_AGE,
  not_retained: FeatureStatus.NOT_RETAINED,
};
const wireStatusAt = Uint8Array.from(statuses, (status) => wireStatuses[status]);

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
  response.$unknown = vectors.map(
    (one): UnknownField => ({ no, wireType: WireType.LengthDelimited, data: encodeVector(one) }),
  );
  return response;
}

/** A FeatureVector in its bytes, with their length before them. */
function encodeVector({ feature, viewVersion, name, type, column: of }: Vector): Uint8Array {
  const writer = new BinaryWriter().fork();
  writer.tag(vector.feature.number, WireType.LengthDelimited).string(feature);
  writer.tag(vector.viewVersion.number, WireType.Varint).int32(viewVersion);
  writer.tag(vector.values.number, WireType.LengthDelimited).fork();
  writer.tag(column.name.number, WireType.LengthDelimited).string(name);
  writer.tag(column.type.number, WireType.Varint).int32(wireTypes[type]);
  writeCells(writer, type, of.cells);
  writer.join();
  bytes(
    writer,
    vector.statuses,
    of.statuses.map((status) => wireStatusAt[status]!),
  );
  bytes(writer, vector.eventTimes, bytesOf(of.timesUs));
  return writer.join().finish();
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
      bytes(writer, column.doubles, bytesOf(Float64Array.from(cells as readonly number[])));
      break;
    case 'string':
      for (const cell of cells)
        writer.tag(column.strings.number, WireType.LengthDelimited).string((cell ?? '') as string);
      break;
  }
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
