import { setTimeout as sleep } from 'node:timers/promises';
import { type Context, catalogue, contexts, type EventType, streamOf } from '@millrace/contracts';
import { invalidField } from '@millrace/errors';
import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import { decodeData, decodeMessage } from './cloud-events.ts';
import { redriveHeader } from './consumer/dead-letters.ts';
import type { AnyEvent } from './event.ts';
import { type Log, noLog } from './log.ts';
import type { Bus } from './nats/bus.ts';
import { readHeaders } from './nats/headers.ts';
import { subjectOfDraft } from './publish.ts';

export interface TailOptions {
  /** Only events of these types. @default all of the catalogue */
  readonly types?: readonly string[];
  readonly project?: string;
  /** Where to begin. @default 'new' */
  readonly since?: 'new' | 'all' | Date;
  /** Ends the tail. */
  readonly signal?: AbortSignal;
  /** Called when every stream that exists is being followed. */
  readonly onReady?: () => void;
  readonly log?: Log;
}

/**
 * Follows events without leaving a trace: nothing is acknowledged, nothing remembered. Within a stream they come in
 * order; what cannot be decoded is passed over and logged. Streams that appear later are followed from their
 * beginning. Throws INVALID_FIELD for a type that the catalogue does not have.
 */
export async function* tail(bus: Bus, options: TailOptions = {}): AsyncIterable<AnyEvent> {
  const types = (options.types ?? [...catalogue.keys()]).map(requireType);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const queue = createQueue<AnyEvent>(signal);
  let waiting = 0;
  for (const context of contexts) {
    const wanted = types.filter((type) => type.context === context);
    if (wanted.length === 0) continue;
    waiting++;
    const attached = () => {
      if (--waiting === 0) options.onReady?.();
    };
    void follow(bus, context, wanted, options, signal, attached, (event) => queue.push(event));
  }
  try {
    yield* queue.items();
  } finally {
    stop.abort();
  }
}

async function follow(
  bus: Bus,
  context: Context,
  types: readonly EventType[],
  options: TailOptions,
  signal: AbortSignal,
  attached: () => void,
  push: (event: AnyEvent) => Promise<void>,
): Promise<void> {
  const { name } = streamOf(context);
  const log = options.log ?? noLog;
  const project = options.project ?? '*';
  const filter_subjects = types.map((type) => subjectOfDraft({ type: type.type, project }));
  const since = options.since ?? 'new';
  let position: number | undefined;
  let late = false;
  let told = false;
  const tell = () => {
    if (!told) attached();
    told = true;
  };
  while (!signal.aborted) {
    try {
      const state = await bus.readState(name);
      if (!state) {
        late = true;
        tell();
        await sleep(500, undefined, { signal }).catch(() => {});
        continue;
      }
      // A stream that was made anew begins at 1 again.
      if (position !== undefined && position > state.last + 1) position = 1;
      // "New" becomes a position at once, so that a reconnection misses nothing.
      if (position === undefined && since === 'new' && !late) position = state.last + 1;
      const client = await bus.jetstream();
      const consumer = await client.consumers.get(name, { filter_subjects, ...startAt(position, since) });
      const messages = await consumer.consume({ max_messages: 256, abort_on_missing_resource: true });
      const close = () => void messages.close();
      signal.addEventListener('abort', close);
      tell();
      if (signal.aborted) close();
      for await (const message of messages) {
        const event = decode(message, log);
        if (event) await push(event);
        position = message.seq + 1;
      }
      signal.removeEventListener('abort', close);
    } catch (error) {
      log.warn({ stream: name, err: error }, 'following a stream was interrupted; trying again');
    }
    await sleep(250, undefined, { signal }).catch(() => {});
  }
}

function startAt(position: number | undefined, since: 'new' | 'all' | Date) {
  if (position !== undefined) return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: position };
  if (since instanceof Date)
    return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since.toISOString() };
  return { deliver_policy: DeliverPolicy.All };
}

function decode(message: JsMsg, log: Log): AnyEvent | undefined {
  const headers = readHeaders(() => message.headers);
  // A redriven event was seen before, and is for one consumer only.
  if (headers?.has(redriveHeader)) return undefined;
  try {
    const { contentType: _, ...envelope } = decodeMessage(headers, message.data);
    const definition = requireType(envelope.type);
    const data = decodeData(definition, { ...envelope, contentType: _ });
    return { ...envelope, data, definition, attempt: 1 };
  } catch (error) {
    log.warn({ subject: message.subject, err: error }, 'a message is not an event of the catalogue');
    return undefined;
  }
}

function requireType(type: string): EventType {
  const found = catalogue.get(type);
  if (found) return found;
  throw invalidField(
    'types',
    `${JSON.stringify(type)} is not in the catalogue`,
    'a type of the event catalogue',
  );
}

/** A queue between many producers and one consumer; a producer waits while it holds 1,000 items. */
function createQueue<T>(signal: AbortSignal) {
  const held: T[] = [];
  let changed = Promise.withResolvers<void>();
  const tell = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  signal.addEventListener('abort', tell);
  return {
    async push(item: T): Promise<void> {
      held.push(item);
      tell();
      while (held.length > 1_000 && !signal.aborted) await changed.promise;
    },
    async *items(): AsyncIterable<T> {
      while (!signal.aborted) {
        const item = held.shift();
        if (item === undefined) await changed.promise;
        else {
          if (held.length === 1_000) tell();
          yield item;
        }
      }
    },
  };
}
