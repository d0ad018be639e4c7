import { CodedError } from '@millrace/errors';
import { type LogRecord, recordBytes, sameSchema, splitRecords } from '../domain/log-rows.ts';
import { encodeLogged, type LoggedEvent, type LogSource } from './logged-event.ts';

export interface InferenceLogOptions {
  /** Makes events durable. */
  write(project: string, deployment: string, events: readonly LoggedEvent[]): Promise<void>;
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
function eventsOf(entries: readonly Entry[]): LoggedEvent[] {
  const groups: { source: LogSource; records: LogRecord[] }[] = [];
  for (const { source, record } of entries) {
    const group = groups.find(
      (other) => sameSource(other.source, source) && sameSchema(other.records[0] as LogRecord, record),
    );
    if (group) group.records.push(record);
    else groups.push({ source, records: [record] });
  }
  return groups.flatMap(({ source, records }) =>
    splitRecords(records, maxEventBytes).map((parts) => encodeLogged(source, parts)),
  );
}

/** Whether two sources of one deployment are the same. */
function sameSource(a: LogSource, b: LogSource): boolean {
  return a.modelVersion === b.modelVersion && a.shadow === b.shadow && a.sampleRate === b.sampleRate;
}

function notDurable(cause: unknown): CodedError {
  const message = 'the inference could not be logged, so it is not answered; retry';
  return new CodedError('unavailable', 'LOG_UNAVAILABLE', message, { cause, retryAfterMs: 500 });
}

function logBehind(): CodedError {
  const message = 'the inference log is behind; retry later';
  return new CodedError('resource_exhausted', 'OVERLOADED', message, { retryAfterMs: 200 });
}
