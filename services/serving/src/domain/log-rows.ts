import type { ColumnValue } from './columns.ts';
import type { NamedColumn } from './lookup.ts';
import { numbersOf, rowElements, type Tensor } from './tensor.ts';

/** How a column of the log is stored. */
export type LogType = 'bool' | 'int64' | 'double' | 'string';

/** A column of the log. */
export interface LogColumn extends NamedColumn {
  readonly type: LogType;
}

/** The inferences of one request, in columns. */
export interface LogRecord {
  readonly requestId: string;
  readonly rows: number;
  /** Microseconds since 1970, for each row. */
  readonly eventTimesUs: readonly number[];
  readonly entities: readonly LogColumn[];
  readonly inputs: readonly LogColumn[];
  readonly outputs: readonly LogColumn[];
}

/** Tensors wider than this are images and the like: not logged. */
const maxTensorColumns = 256;
/** Texts are clipped, so that a row stays far below the size of a message. */
const maxText = 200;

/** The id of one inference. */
export function inferenceId(requestId: string, row: number, rows: number): string {
  return rows === 1 ? requestId : `${requestId}/${row}`;
}

/** Columns of a tensor, one for each element of a row; none for tensors that are too wide. */
export function tensorColumns(
  tensor: Tensor,
  rows: number,
  names: readonly string[] | undefined,
): LogColumn[] {
  const perRow = tensor.shape[0] === rows && tensor.shape.length > 0;
  // What does not count rows is logged once, with the only row.
  if (!perRow && rows !== 1) return [];
  const wide = perRow ? rowElements(tensor.shape) : tensor.data.length === 0 ? 0 : elements(tensor);
  if (wide > maxTensorColumns) return [];
  const all = valuesOf(tensor);
  return Array.from(
    { length: wide },
    (_, c): LogColumn => ({
      name: names?.[c] ?? (wide === 1 ? tensor.name : `${tensor.name}_${c}`),
      type: typeOf(tensor),
      values: Array.from({ length: rows }, (_, row) => all[row * wide + c] ?? null),
    }),
  );
}

function elements(tensor: Tensor): number {
  return tensor.shape.reduce((count, dim) => count * dim, 1);
}

function typeOf(tensor: Tensor): LogType {
  if (tensor.type === 'BYTES') return 'string';
  if (tensor.type === 'BOOL') return 'bool';
  return tensor.type.startsWith('FP') ? 'double' : 'int64';
}

function valuesOf(tensor: Tensor): readonly ColumnValue[] {
  if (!(tensor.data instanceof Uint8Array)) return tensor.data.map(clip);
  const numbers = numbersOf(tensor);
  if (tensor.type === 'BOOL') return Array.from(numbers, (value) => value !== 0);
  if (tensor.type === 'FP32') return Array.from(numbers, shortest);
  return Array.from(numbers);
}

/**
 * The shortest decimal number that is this FP32. What was 0.1 before it became FP32 is 0.1 in the log again, and so
 * equal to the same value of a training set, which is kept in double precision.
 */
export function shortest(value: number): number {
  if (Number.isInteger(value) || !Number.isFinite(value)) return value;
  for (const digits of [6, 7, 8]) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

/** Columns that a look-up put together; their types follow from their values. */
export function assembledColumns(columns: readonly NamedColumn[]): LogColumn[] {
  return columns.map((column) => {
    const sample = column.values.find((value) => value !== null);
    const type: LogType =
      typeof sample === 'string' ? 'string' : typeof sample === 'boolean' ? 'bool' : 'double';
    const values =
      type === 'string'
        ? column.values.map((value) => (value === null ? null : clip(String(value))))
        : type === 'double'
          ? column.values.map((value) => (value === null ? null : Number(value)))
          : column.values;
    return { name: column.name, type, values };
  });
}

/** Columns of entity keys: texts, or whole numbers. */
export function keyColumns(keys: readonly NamedColumn[]): LogColumn[] {
  return keys.map(({ name, values }) =>
    typeof values[0] === 'string'
      ? { name, type: 'string', values: values.map((value) => clip(String(value))) }
      : { name, type: 'int64', values },
  );
}

function clip(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text;
}

/** What distinguishes records that cannot share an event. */
export function schemaKey(record: LogRecord): string {
  const show = (columns: readonly LogColumn[]) =>
    columns.map((column) => `${column.name}:${column.type}`).join('\u0001');
  return [show(record.entities), show(record.inputs), show(record.outputs)].join('\u0002');
}

/** About how many bytes the rows take in an event. */
export function recordBytes(record: LogRecord): number {
  let bytes = record.rows * (2 * record.requestId.length + 24);
  for (const column of [...record.entities, ...record.inputs, ...record.outputs]) {
    if (column.type !== 'string') bytes += 8 * record.rows;
    else for (const value of column.values) bytes += 4 + 3 * String(value ?? '').length;
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
