import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ColumnBatchSchema, type ColumnSchema, ColumnType } from '@millrace/contracts/common';
import type { InferenceLoggedSchema } from '@millrace/contracts/serving';
import { CodedError } from '@millrace/errors';
import {
  inferenceId,
  type LogColumn,
  type LogPart,
  type LogRecord,
  type LogType,
  recordBytes,
  schemaKey,
  splitRecords,
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

type LoggedInit = MessageInitShape<typeof InferenceLoggedSchema>;

export interface InferenceLogOptions {
  /** Makes events durable. */
  write(project: string, deployment: string, events: readonly LoggedInit[]): Promise<void>;
  readonly flushMs: number;
  /** Most bytes of records that may wait for the disk. */
  readonly maxBufferedBytes: number;
  readonly log: { warn(fields: object, message: string): void };
}

/** Collects inferences and writes them as events. */
export interface InferenceLog {
  /**
   * Adds a record and settles when it is durable: whoever waits shares one write with everybody who came while the
   * write before was under way. OVERLOADED when too much waits.
   */
  commit(source: LogSource, record: LogRecord): Promise<void>;
  /** Adds a record to be written within the flush interval; drops it, and counts it, when too much waits. */
  add(source: LogSource, record: LogRecord): void;
  /** Records dropped so far. */
  readonly dropped: number;
  /** Writes what waits. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** The data of one event stays below this, so that the message with its headers stays below 800 KB. */
const maxEventBytes = 700_000;

interface Entry {
  readonly source: LogSource;
  readonly record: LogRecord;
  readonly bytes: number;
  readonly done: PromiseWithResolvers<void> | undefined;
}

/** All that waits of one deployment; its writes follow one another. */
interface Channel {
  waiting: Entry[];
  writing: Promise<void> | undefined;
}

export function createInferenceLog(options: InferenceLogOptions): InferenceLog {
  const channels = new Map<string, Channel>();
  let buffered = 0;
  let dropped = 0;

  const channelOf = (source: LogSource): Channel => {
    const known = channels.get(source.deployment);
    if (known) return known;
    const made: Channel = { waiting: [], writing: undefined };
    channels.set(source.deployment, made);
    return made;
  };

  const writeOnce = async (batch: readonly Entry[]) => {
    const { project, deployment } = batch[0]!.source;
    try {
      await options.write(project, deployment, eventsOf(batch));
      for (const entry of batch) entry.done?.resolve();
    } catch (error) {
      options.log.warn({ err: error, records: batch.length }, 'the inference log could not be written');
      for (const entry of batch) {
        if (entry.done) entry.done.reject(notDurable(error));
        else dropped += 1;
      }
    } finally {
      for (const entry of batch) buffered -= entry.bytes;
    }
  };

  /** Writes until nothing waits; those who come meanwhile are in the next round. */
  const drain = (channel: Channel): Promise<void> => {
    channel.writing ??= (async () => {
      // A turn of the loop lets requests that end together share the first write too.
      await new Promise((resolve) => setImmediate(resolve));
      while (channel.waiting.length > 0) {
        const batch = channel.waiting;
        channel.waiting = [];
        await writeOnce(batch);
      }
      channel.writing = undefined;
    })();
    return channel.writing;
  };

  const push = (source: LogSource, record: LogRecord, done: Entry['done']): boolean => {
    const bytes = recordBytes(record);
    if (buffered > 0 && buffered + bytes > options.maxBufferedBytes) return false;
    buffered += bytes;
    channelOf(source).waiting.push({ source, record, bytes, done });
    return true;
  };

  const flush = async () => {
    await Promise.all([...channels.values()].map(drain));
    for (const [key, channel] of channels)
      if (!channel.writing && channel.waiting.length === 0) channels.delete(key);
  };
  const timer = setInterval(() => void flush(), options.flushMs);
  timer.unref();

  return {
    get dropped() {
      return dropped;
    },
    async commit(source, record) {
      if (record.rows === 0) return;
      const done = Promise.withResolvers<void>();
      if (!push(source, record, done)) throw logBehind();
      void drain(channelOf(source));
      return done.promise;
    },
    add(source, record) {
      if (record.rows > 0 && !push(source, record, undefined)) dropped += 1;
    },
    flush,
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

/** Entries of one source and schema share events, up to the size of one. */
function eventsOf(entries: readonly Entry[]): LoggedInit[] {
  const groups = new Map<string, { source: LogSource; records: LogRecord[] }>();
  for (const { source, record } of entries) {
    const key = [source.modelVersion, source.shadow, source.sampleRate, schemaKey(record)].join('\u0003');
    const group = groups.get(key);
    if (group) group.records.push(record);
    else groups.set(key, { source, records: [record] });
  }
  return [...groups.values()].flatMap(({ source, records }) =>
    splitRecords(records, maxEventBytes).map((parts) => eventOf(source, parts)),
  );
}

function eventOf(source: LogSource, parts: readonly LogPart[]): LoggedInit {
  const each = <T>(of: (part: LogPart, row: number) => T): T[] =>
    parts.flatMap((part) => Array.from({ length: part.to - part.from }, (_, i) => of(part, part.from + i)));
  const batch = (columnsOf: (record: LogRecord) => readonly LogColumn[]) => {
    const heads = columnsOf(parts[0]!.record);
    const columns = heads.map((head, c) =>
      columnMessage(
        head.name,
        head.type,
        each((part, row) => columnsOf(part.record)[c]?.values[row] ?? null),
      ),
    );
    const rowCount = parts.reduce((sum, part) => sum + part.to - part.from, 0);
    return { rowCount, columns } satisfies MessageInitShape<typeof ColumnBatchSchema>;
  };
  return {
    deployment: source.deployment,
    modelVersion: source.modelVersion,
    shadow: source.shadow,
    sampleRate: source.sampleRate,
    inferenceIds: each(({ record }, row) => inferenceId(record.requestId, row, record.rows)),
    requestIds: each(({ record }) => record.requestId),
    eventTimes: each(({ record }, row) => BigInt(Math.round(record.eventTimesUs[row] ?? 0))),
    entities: batch((record) => record.entities),
    inputs: batch((record) => record.inputs),
    outputs: batch((record) => record.outputs),
  };
}

function columnMessage(
  name: string,
  type: LogType,
  values: readonly LogColumn['values'][number][],
): MessageInitShape<typeof ColumnSchema> {
  const nulls = values.some((value) => value === null);
  const validity = new Uint8Array(nulls ? Math.ceil(values.length / 8) : 0);
  if (nulls)
    for (const [row, value] of values.entries()) if (value !== null) validity[row >> 3]! |= 1 << (row & 7);
  switch (type) {
    case 'bool':
      return { name, type: ColumnType.BOOL, validity, bools: values.map((value) => value === true) };
    case 'int64':
      return { name, type: ColumnType.INT64, validity, int64s: values.map((value) => toBigint(value)) };
    case 'double':
      return { name, type: ColumnType.DOUBLE, validity, doubles: values.map((value) => Number(value ?? 0)) };
    case 'string':
      return { name, type: ColumnType.STRING, validity, strings: values.map((value) => String(value ?? '')) };
  }
}

function toBigint(value: LogColumn['values'][number]): bigint {
  if (value === null) return 0n;
  return BigInt.asIntN(64, typeof value === 'number' ? BigInt(Math.trunc(value)) : BigInt(value));
}

function notDurable(cause: unknown): CodedError {
  const message = 'the inference could not be logged, so it is not answered; retry';
  return new CodedError('unavailable', 'LOG_UNAVAILABLE', message, { cause, retryAfterMs: 500 });
}

function logBehind(): CodedError {
  const message = 'the inference log is behind; retry later';
  return new CodedError('resource_exhausted', 'OVERLOADED', message, { retryAfterMs: 200 });
}
