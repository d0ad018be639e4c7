import { createHash } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { type Column, ColumnType } from '@millrace/contracts/common';
import { InferenceLoggedSchema } from '@millrace/contracts/serving';
import { servingEvents } from '@millrace/contracts/serving-events';
import type { EventLog } from '@millrace/documents';
import type { LogRecord, LogType } from '../domain/log-rows.ts';
import type { LogSource } from './logged-event.ts';

/**
 * Remembers what was logged lately under an id of the caller's. A caller whose answer got lost, for example because
 * this process was killed, asks again with the same id and inputs: that is the same inference, and it is logged once.
 * The same id with other inputs is another inference.
 */
export interface Repeats {
  /**
   * Logs an inference by `write`, unless it is logged. A try that overtakes an earlier one has that one's outcome; what
   * failed is forgotten.
   */
  once(source: LogSource, record: LogRecord, write: () => Promise<void>): Promise<void>;
}

const mostKept = 50_000;
/** How far back the record is read at a start, so that starting stays quick. */
const eventsRead = 1000;
const bytesRead = 32 * 1024 ** 2;
const pageSize = 50;

/** Starts with what the record of events holds of the time before. */
export async function createRepeats(events: EventLog): Promise<Repeats> {
  const keys = new Set<string>();
  const keep = (key: string) => {
    keys.add(key);
    const [oldest] = keys;
    if (keys.size > mostKept && oldest !== undefined) keys.delete(oldest);
  };
  const types = [servingEvents.inferenceLogged.type];
  const last = await events.last();
  const oldest = Math.max(0, last - eventsRead);
  let bytes = 0;
  for (let to = last; to > oldest && bytes < bytesRead; to -= pageSize) {
    // A page of large events is shorter than asked.
    for (let after = Math.max(0, to - pageSize); after < to; ) {
      const page = await events.read({ after, limit: pageSize, types });
      for (const { data, sequence } of page) {
        if (sequence > to) break;
        bytes += data.byteLength;
        for (const key of keysOf(data)) keep(key);
      }
      after = page.at(-1)?.sequence ?? to;
    }
  }
  const underWay = new Map<string, Promise<void>>();
  const writeAs = async (key: string, write: () => Promise<void>) => {
    try {
      await write();
      keep(key);
    } finally {
      underWay.delete(key);
    }
  };
  return {
    async once(source, record, write) {
      const key = keyOf(source, record);
      if (keys.has(key)) return;
      const writing = underWay.get(key) ?? writeAs(key, write);
      underWay.set(key, writing);
      await writing;
    },
  };
}

/** Values of a column as they lie somewhere: `step` apart, the first row's at `at`. */
interface Lane {
  readonly values: { readonly [index: number]: number | bigint | boolean | string };
  readonly kind: LogType;
  readonly at: number;
  readonly step: number;
  isNull(index: number): boolean;
}

function keyOf({ deployment, modelVersion, shadow }: LogSource, record: LogRecord): string {
  const { requestId, rows, entities, inputs } = record;
  const blocks = [...entities, ...inputs];
  const lanes = blocks.flatMap(({ heads, values, nulls }) =>
    heads.names.map((_, at): Lane => {
      const isNull = (index: number) => nulls?.[index] === 1;
      return { values, kind: heads.type, at, step: heads.names.length, isNull };
    }),
  );
  const names = blocks.map(({ heads }) => heads.joined).join('\u0001');
  return hash([deployment, modelVersion, shadow, requestId, names], lanes, rows);
}

/** The keys of the requests of a recorded event; each lies there in one piece. */
function keysOf(data: Uint8Array): string[] {
  const event = fromBinary(InferenceLoggedSchema, data);
  const { deployment, modelVersion, shadow, requestIds } = event;
  const columns = [...(event.entities?.columns ?? []), ...(event.inputs?.columns ?? [])];
  const names = columns.map(({ name }) => name).join('\u0001');
  const keys: string[] = [];
  for (let from = 0, to = 0; from < requestIds.length; from = to) {
    while (to < requestIds.length && requestIds[to] === requestIds[from]) to += 1;
    const head = [deployment, modelVersion, shadow, requestIds[from], names];
    keys.push(
      hash(
        head,
        columns.map((column) => laneOf(column, from)),
        to - from,
      ),
    );
  }
  return keys;
}

function laneOf({ type, bools, int64s, doubles, strings, validity }: Column, at: number): Lane {
  const isNull = (row: number) => validity.length > 0 && (((validity[row >> 3] ?? 0) >> (row & 7)) & 1) === 0;
  const place = { at, step: 1, isNull };
  if (type === ColumnType.BOOL) return { kind: 'bool', values: bools, ...place };
  if (type === ColumnType.DOUBLE) return { kind: 'double', values: doubles, ...place };
  if (type === ColumnType.STRING) return { kind: 'string', values: strings, ...place };
  return { kind: 'int64', values: int64s, ...place };
}

/** The same values give the same before and after their way through an event. */
function hash(head: readonly unknown[], lanes: readonly Lane[], rows: number): string {
  const doubles = new Float64Array(lanes.length * rows);
  const whole = new BigInt64Array(doubles.buffer);
  const texts: unknown[] = [];
  let n = 0;
  for (const { values, kind, at, step, isNull } of lanes)
    for (let index = at; index < at + rows * step; index += step, n++) {
      const value = values[index]!;
      if (isNull(index)) texts.push([n]);
      else if (kind === 'string') texts.push(value);
      else if (kind === 'int64') whole[n] = value as bigint;
      // There are many ways to write NaN in bits.
      else doubles[n] = Number.isNaN(value) ? Number.NaN : Number(value);
    }
  return createHash('sha256')
    .update(JSON.stringify([head, texts]))
    .update(new Uint8Array(doubles.buffer))
    .digest('base64');
}
