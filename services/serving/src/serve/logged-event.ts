import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { ColumnBatchSchema, ColumnSchema, ColumnType } from '@millrace/contracts/common';
import { InferenceLoggedSchema } from '@millrace/contracts/serving';
import {
  inferenceId,
  type LogBlock,
  type LogPart,
  type LogRecord,
  type LogType,
} from '../domain/log-rows.ts';

/** What the inferences of an event have in common. */
export interface LogSource {
  readonly project: string;
  /** The deployment's full name. */
  readonly deployment: string;
  /** The version's full name. */
  readonly modelVersion: string;
  readonly shadow: boolean;
  readonly sampleRate: number;
}

/** An InferenceLogged message in its bytes. */
export interface LoggedEvent {
  readonly rows: number;
  readonly data: Uint8Array;
}

const logged = InferenceLoggedSchema.field;
const batch = ColumnBatchSchema.field;
const column = ColumnSchema.field;

const types = {
  bool: { type: ColumnType.BOOL, field: column.bools },
  int64: { type: ColumnType.INT64, field: column.int64s },
  double: { type: ColumnType.DOUBLE, field: column.doubles },
  string: { type: ColumnType.STRING, field: column.strings },
} as const;

type Field = { readonly number: number };

/**
 * Writes records of one source and schema as one event. Straight from their blocks to bytes: as message objects the
 * values of a column would be boxed, checked and written one by one, which cost several times the inference.
 */
export function encodeLogged(source: LogSource, parts: readonly LogPart[]): LoggedEvent {
  const writer = new BinaryWriter();
  const text = (field: Field, value: string) =>
    writer.tag(field.number, WireType.LengthDelimited).string(value);
  const rows = parts.reduce((sum, part) => sum + part.to - part.from, 0);
  text(logged.deployment, source.deployment);
  text(logged.modelVersion, source.modelVersion);
  if (source.shadow) writer.tag(logged.shadow.number, WireType.Varint).bool(true);
  writer.tag(logged.sampleRate.number, WireType.Bit64).double(source.sampleRate);
  for (const { record, from, to } of parts)
    for (let row = from; row < to; row++)
      text(logged.inferenceIds, inferenceId(record.requestId, row, record.rows));
  for (const { record, from, to } of parts)
    for (let row = from; row < to; row++) text(logged.requestIds, record.requestId);
  const times = parts.flatMap(({ record, from, to }) => record.eventTimesUs.slice(from, to));
  const whole = BigInt64Array.from(times, (time) => BigInt(Math.round(time)));
  bytes(writer, logged.eventTimes, bytesOf(whole));
  columns(writer, logged.entities, parts, rows, (record) => record.entities);
  columns(writer, logged.inputs, parts, rows, (record) => record.inputs);
  columns(writer, logged.outputs, parts, rows, (record) => record.outputs);
  return { rows, data: writer.finish() };
}

function bytes(writer: BinaryWriter, field: Field, value: Uint8Array): void {
  writer.tag(field.number, WireType.LengthDelimited).bytes(value);
}

/** The machine's own order of bytes is little-endian wherever Node runs, as that of the wire. */
function bytesOf({ buffer, byteOffset, byteLength }: BigInt64Array | Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function columns(
  writer: BinaryWriter,
  field: Field,
  parts: readonly LogPart[],
  rows: number,
  blocksOf: (record: LogRecord) => readonly LogBlock[],
): void {
  writer.tag(field.number, WireType.LengthDelimited).fork();
  writer.tag(batch.rowCount.number, WireType.Varint).uint32(rows);
  const first = parts[0] ? blocksOf(parts[0].record) : [];
  for (const [b, { heads }] of first.entries()) {
    const pieces = parts.map(({ record, from, to }) => ({ ...blocksOf(record)[b]!, from, to }));
    for (const [c, name] of heads.names.entries()) {
      writer.tag(batch.columns.number, WireType.LengthDelimited).fork();
      writer.tag(column.name.number, WireType.LengthDelimited).string(name);
      writer.tag(column.type.number, WireType.Varint).int32(types[heads.type].type);
      const each = { pieces, rows, wide: heads.names.length, at: c };
      const validity = validityOf(each);
      if (validity) bytes(writer, column.validity, validity);
      values(writer, heads.type, each);
      writer.join();
    }
  }
  writer.join();
}

/** One column of a block: every `wide`-th value of each piece, from `at`. */
interface Each {
  readonly pieces: readonly (LogBlock & { readonly from: number; readonly to: number })[];
  readonly rows: number;
  readonly wide: number;
  readonly at: number;
}

function values(writer: BinaryWriter, type: LogType, each: Each): void {
  const { field } = types[type];
  if (type !== 'string') return void bytes(writer, field, packed(type, each));
  for (const text of gather(each, new Array<string>(each.rows)))
    writer.tag(field.number, WireType.LengthDelimited).string(text);
}

function packed(type: Exclude<LogType, 'string'>, each: Each): Uint8Array {
  switch (type) {
    case 'double':
      return bytesOf(gather(each, new Float64Array(each.rows)));
    case 'int64':
      return bytesOf(gather(each, new BigInt64Array(each.rows)));
    case 'bool':
      return gather(each, new Uint8Array(each.rows));
  }
}

function gather<T extends { [row: number]: unknown }>({ pieces, wide, at }: Each, into: T): T {
  let n = 0;
  for (const { values: all, from, to } of pieces)
    for (let i = from * wide + at; i < to * wide; i += wide) into[n++] = all[i] as T[number];
  return into;
}

/** One bit for each row, 1 where there is a value; undefined when every row has one. */
function validityOf({ pieces, rows, wide, at }: Each): Uint8Array | undefined {
  if (!pieces.some(({ nulls }) => nulls)) return undefined;
  const bits = new Uint8Array(Math.ceil(rows / 8));
  let row = 0;
  let missing = 0;
  for (const { nulls, from, to } of pieces)
    for (let i = from * wide + at; i < to * wide; i += wide, row++) {
      if (nulls?.[i]) missing += 1;
      else bits[row >> 3]! |= 1 << (row & 7);
    }
  return missing > 0 ? bits : undefined;
}
