import { createHash } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { type Column, type ColumnBatch, ColumnType } from '@millrace/contracts/common';
import { InferenceLoggedSchema } from '@millrace/contracts/serving';
import { servingEvents } from '@millrace/contracts/serving-events';
import type { EventLog } from '@millrace/documents';
import type { ColumnValue } from '../domain/columns.ts';
import type { LogColumn, LogRecord } from '../domain/log-rows.ts';
import { columnValues } from './column-values.ts';
import type { LogSource } from './inference-log.ts';

/**
 * Remembers what was logged lately under an id of the caller's. A caller whose answer got lost, for example because
 * this process was killed, asks again with the same id and inputs: that is the same inference, and it is logged once.
 * The same id with other inputs is another inference.
 */
export interface Repeats {
  has(source: LogSource, record: LogRecord): boolean;
  add(source: LogSource, record: LogRecord): void;
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
    const page = await events.read({ after: Math.max(0, to - pageSize), limit: pageSize, types });
    for (const { data, sequence } of page) {
      if (sequence > to) break;
      bytes += data.byteLength;
      for (const key of keysOf(data)) keep(key);
    }
  }
  return {
    has: (source, record) => keys.has(keyOf(source, record)),
    add: (source, record) => keep(keyOf(source, record)),
  };
}

type Text = { readonly name: string; readonly values: readonly ColumnValue[] };

function keyOf({ deployment, modelVersion, shadow }: LogSource, record: LogRecord): string {
  const { requestId, rows, entities, inputs } = record;
  return hash([deployment, modelVersion, shadow, requestId], [...entities, ...inputs].map(normal), 0, rows);
}

/** The keys of the requests of a recorded event; each lies there in one piece. */
function keysOf(data: Uint8Array): string[] {
  const event = fromBinary(InferenceLoggedSchema, data);
  const { deployment, modelVersion, shadow, requestIds } = event;
  const columns = [...columnsOf(event.entities), ...columnsOf(event.inputs)];
  const keys: string[] = [];
  for (let from = 0, to = 0; from < requestIds.length; from = to) {
    while (to < requestIds.length && requestIds[to] === requestIds[from]) to += 1;
    keys.push(hash([deployment, modelVersion, shadow, requestIds[from]], columns, from, to));
  }
  return keys;
}

function columnsOf(batch: ColumnBatch | undefined): Text[] {
  return (batch?.columns ?? []).map((column: Column) => {
    const type = column.type === ColumnType.INT64 ? 'int64' : 'double';
    return normal({ name: column.name, values: columnValues(column), type });
  });
}

/** The same value reads the same before and after its way through an event. */
function normal({ name, type, values }: Pick<LogColumn, 'name' | 'type' | 'values'>): Text {
  if (type !== 'int64') return { name, values };
  const whole = (value: ColumnValue) => BigInt(typeof value === 'number' ? Math.trunc(value) : (value ?? 0));
  return { name, values: values.map((value) => (value === null ? null : BigInt.asIntN(64, whole(value)))) };
}

function hash(head: readonly unknown[], columns: readonly Text[], from: number, to: number): string {
  const digest = createHash('sha256').update(JSON.stringify(head));
  for (const { name, values } of columns) {
    digest.update(`\u0000${name}`);
    for (let row = from; row < to; row++) digest.update(`\u0001${String(values[row])}`);
  }
  return digest.digest('base64');
}
