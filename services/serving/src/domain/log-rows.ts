import type { ColumnValue } from './columns.ts';
import type { NamedColumn } from './lookup.ts';
import { numbersOf, rowElements, type Tensor } from './tensor.ts';

/** How a column of the log is stored. */
export type LogType = 'bool' | 'int64' | 'double' | 'string';

/** Columns that lie together: their names, and the type of them all. Made once, and shared by many records. */
export interface LogHeads {
  readonly type: LogType;
  readonly names: readonly string[];
  /** The names in one text; no name has the character between them. */
  readonly joined: string;
}

/** Values of columns that lie together: row after row, `heads.names.length` in each. */
export interface LogBlock {
  readonly heads: LogHeads;
  /** By the type: truth values as 0 and 1, whole numbers, doubles, texts. */
  readonly values: Uint8Array | BigInt64Array | Float64Array | readonly string[];
  /** For each value 1 where there is none; absent when all are there. */
  readonly nulls?: Uint8Array;
}

/** The inferences of one request, in blocks of columns. */
export interface LogRecord {
  readonly requestId: string;
  readonly rows: number;
  /** Microseconds since 1970, for each row. */
  readonly eventTimesUs: readonly number[];
  readonly entities: readonly LogBlock[];
  readonly inputs: readonly LogBlock[];
  readonly outputs: readonly LogBlock[];
}

/** Tensors wider than this are images and the like: not logged. */
const maxTensorColumns = 256;
/** Texts are clipped, so that a row stays far below the size of a message. */
const maxText = 200;

/** The id of one inference. */
export function inferenceId(requestId: string, row: number, rows: number): string {
  return rows === 1 ? requestId : `${requestId}/${row}`;
}

/** Makes heads. */
export function logHeads(type: LogType, names: readonly string[]): LogHeads {
  return { type, names, joined: names.join('\u0001') };
}

/** Gives the heads of a tensor's columns, so many to a row; one who logs many tensors of a kind makes them once. */
export type HeadsOf = (tensor: Tensor, wide: number) => LogHeads;

/** The columns of a tensor: those that the user named, then the tensor's name with a number. */
export function tensorHeads(tensor: Tensor, wide: number, names: readonly string[] | undefined): LogHeads {
  const nameOf = (c: number) => names?.[c] ?? (wide === 1 ? tensor.name : `${tensor.name}_${c}`);
  return logHeads(
    typeOf(tensor),
    Array.from({ length: wide }, (_, c) => nameOf(c)),
  );
}

/** A tensor as columns, one for each element of a row; none for tensors that are too wide. */
export function tensorBlocks(tensor: Tensor, rows: number, headsOf: HeadsOf): LogBlock[] {
  const perRow = tensor.shape[0] === rows && tensor.shape.length > 0;
  // What does not count rows is logged once, with the only row.
  if (!perRow && rows !== 1) return [];
  const wide = rowElements(perRow ? tensor.shape : [1, ...tensor.shape]);
  if (wide > maxTensorColumns || wide === 0) return [];
  return [{ heads: headsOf(tensor, wide), values: valuesOf(tensor) }];
}

function typeOf(tensor: Tensor): LogType {
  if (tensor.type === 'BYTES') return 'string';
  if (tensor.type === 'BOOL') return 'bool';
  return tensor.type.startsWith('FP') ? 'double' : 'int64';
}

function valuesOf(tensor: Tensor): LogBlock['values'] {
  if (!(tensor.data instanceof Uint8Array)) return tensor.data.map(clip);
  if (tensor.type === 'BOOL') return tensor.data;
  // 64 bits are what the log has too, also of numbers without a sign.
  if (tensor.type === 'INT64' || tensor.type === 'UINT64')
    return new BigInt64Array(tensor.data.slice().buffer);
  const numbers = numbersOf(tensor);
  if (tensor.type === 'FP32') return numbers.map(shortest);
  return tensor.type.startsWith('FP') ? numbers : BigInt64Array.from(numbers, BigInt);
}

/** Exact as doubles. */
const powersOfTen = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);

/**
 * The shortest decimal number that is this FP32. What was 0.1 before it became FP32 is 0.1 in the log again, and so
 * equal to the same value of a training set, which is kept in double precision.
 */
export function shortest(value: number): number {
  if (Number.isInteger(value) || !Number.isFinite(value)) return value;
  const places = -Math.floor(Math.log10(Math.abs(value)));
  for (let digits = 6; digits <= 8; digits++) {
    // Two whole numbers that doubles hold exactly: their quotient is the double nearest to the decimal number.
    const power = powersOfTen[digits - 1 + places];
    const candidate =
      power === undefined ? Number(value.toPrecision(digits)) : Math.round(value * power) / power;
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

/** Columns that a look-up put together, each by itself; their types follow from their values. */
export function assembledBlocks(columns: readonly NamedColumn[]): LogBlock[] {
  return columns.map(({ name, values }) => {
    const sample = values.find((value) => value !== null);
    const type = typeof sample;
    return columnBlock(name, type === 'string' ? 'string' : type === 'boolean' ? 'bool' : 'double', values);
  });
}

/** Columns of entity keys: texts, or whole numbers. */
export function keyBlocks(keys: readonly NamedColumn[]): LogBlock[] {
  return keys.map(({ name, values }) =>
    columnBlock(name, typeof values[0] === 'string' ? 'string' : 'int64', values),
  );
}

function columnBlock(name: string, type: LogType, column: readonly ColumnValue[]): LogBlock {
  const nulls = column.includes(null)
    ? Uint8Array.from(column, (value) => (value === null ? 1 : 0))
    : undefined;
  return { heads: logHeads(type, [name]), values: columnOf(type, column), ...(nulls ? { nulls } : {}) };
}

function columnOf(type: LogType, column: readonly ColumnValue[]): LogBlock['values'] {
  switch (type) {
    case 'bool':
      return Uint8Array.from(column, (value) => (value === true ? 1 : 0));
    case 'int64':
      return BigInt64Array.from(column, wholeOf);
    case 'double':
      return Float64Array.from(column, (value) => Number(value ?? 0));
    case 'string':
      return column.map((value) => clip(String(value ?? '')));
  }
}

function wholeOf(value: ColumnValue): bigint {
  if (value === null) return 0n;
  return BigInt(typeof value === 'number' ? Math.trunc(value) : value);
}

function clip(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text;
}

/** Whether records can share an event. */
export function sameSchema(a: LogRecord, b: LogRecord): boolean {
  return (
    sameHeads(a.entities, b.entities) && sameHeads(a.inputs, b.inputs) && sameHeads(a.outputs, b.outputs)
  );
}

function sameHeads(a: readonly LogBlock[], b: readonly LogBlock[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ heads }, i) => {
      const other = b[i]!.heads;
      return heads === other || (heads.type === other.type && heads.joined === other.joined);
    })
  );
}

/** About how many bytes the rows take in an event. */
export function recordBytes(record: LogRecord): number {
  let bytes = record.rows * (2 * record.requestId.length + 24);
  for (const blocks of [record.entities, record.inputs, record.outputs])
    for (const { heads, values } of blocks) {
      if (heads.type !== 'string') bytes += 8 * values.length;
      else for (const text of values as readonly string[]) bytes += 4 + 3 * text.length;
    }
  return bytes;
}

/** Some rows of a record, keeping their numbers: `from` is where the part begins. */
export interface LogPart {
  readonly record: LogRecord;
  readonly from: number;
  readonly to: number;
}

/** Shares records out among events of at most `maxBytes` each. Order is kept; a record may be cut. */
export function splitRecords(records: readonly LogRecord[], maxBytes: number): LogPart[][] {
  const events: LogPart[][] = [];
  let open: LogPart[] = [];
  let left = maxBytes;
  for (const record of records) {
    const perRow = Math.max(1, Math.ceil(recordBytes(record) / Math.max(1, record.rows)));
    let from = 0;
    while (from < record.rows) {
      const fits = Math.floor(left / perRow);
      if (fits < 1 && open.length > 0) {
        events.push(open);
        open = [];
        left = maxBytes;
        continue;
      }
      const to = Math.min(record.rows, from + Math.max(1, fits));
      open.push({ record, from, to });
      left -= (to - from) * perRow;
      from = to;
    }
  }
  if (open.length > 0) events.push(open);
  return events;
}
