import type {
  ConsumerSettings,
  OutgoingMessage,
  Sent,
  StoredMessage,
  StreamSettings,
  StreamState,
} from '@millrace/events';
import type { Chance } from '@millrace/testing';
import type { Timeline } from './timeline.ts';

/** A message as the simulated server keeps it. */
export interface Kept extends StoredMessage {
  readonly id: string;
}

/** A process that takes messages of a consumer. */
export interface Puller {
  /** How many more it takes now. */
  room(): number;
  give(message: Kept, deliveryCount: number): void;
}

interface Consumer {
  settings: ConsumerSettings;
  /** The place of the next message that was never delivered. */
  next: number;
  /** Delivered and not answered: how often, and the end of its time. */
  readonly pending: Map<number, { count: number; off: () => void }>;
  /** Of these, the ones to be delivered again now. */
  readonly again: Set<number>;
  readonly pullers: Set<Puller>;
}

interface Stream {
  settings: StreamSettings;
  readonly createdMs: number;
  readonly messages: Map<number, Kept>;
  last: number;
  readonly ids: Map<string, { seq: number; at: number }>;
  readonly consumers: Map<string, Consumer>;
}

/**
 * Streams as nats-server keeps them: a window of known ids, delivery until there is an answer, answers that name a
 * place. A restart of a machine without synced writes takes the newest messages away; consumers then go back to where
 * the stream ends. (Observed at 2.15.1.)
 */
export function createServer(timeline: Timeline, chance: Chance) {
  const streams = new Map<string, Stream>();
  const epochMs = Date.UTC(2026, 0, 1);
  const watchers: ((stream: string, message: Kept) => void)[] = [];

  const streamOf = (subject: string) =>
    [...streams.values()].find(({ settings }) => settings.subjects.some((one) => matches(one, subject)));

  function store(message: OutgoingMessage): Sent | 'out of order' | undefined {
    const stream = streamOf(message.subject);
    if (!stream) return undefined;
    const known = stream.ids.get(message.id);
    if (known && timeline.now - known.at < stream.settings.duplicateWindowMs)
      return { seq: known.seq, duplicate: true };
    if (message.after !== undefined && stream.messages.get(stream.last)?.id !== message.after)
      return 'out of order';
    const seq = ++stream.last;
    const kept = { ...message, seq, time: new Date(epochMs + timeline.now) };
    stream.messages.set(seq, kept);
    stream.ids.set(message.id, { seq, at: timeline.now });
    for (const watcher of watchers) watcher(stream.settings.name, kept);
    for (const consumer of stream.consumers.values()) dispatch(stream, consumer);
    return { seq, duplicate: false };
  }

  function dispatch(stream: Stream, consumer: Consumer): void {
    for (;;) {
      const ready = [...consumer.pullers].filter((puller) => puller.room() > 0);
      if (ready.length === 0) return;
      const seq = nextFor(stream, consumer);
      if (seq === undefined) return;
      const count = (consumer.pending.get(seq)?.count ?? 0) + 1;
      consumer.pending.get(seq)?.off();
      consumer.pending.set(seq, { count, off: expire(stream, consumer, seq) });
      chance.pick(ready).give(stream.messages.get(seq)!, count);
    }
  }

  function nextFor(stream: Stream, consumer: Consumer): number | undefined {
    const { pending, again, settings } = consumer;
    for (const seq of [...again].sort((a, b) => a - b)) {
      again.delete(seq);
      if (stream.messages.has(seq)) return seq;
      pending.get(seq)?.off();
      pending.delete(seq);
    }
    while (pending.size < settings.maxInFlight && consumer.next <= stream.last) {
      const seq = consumer.next++;
      const message = stream.messages.get(seq);
      if (message && settings.subjects.some((one) => matches(one, message.subject))) return seq;
    }
    return undefined;
  }

  /** Delivers again what has no answer in time. */
  function expire(
    stream: Stream,
    consumer: Consumer,
    seq: number,
    ms = consumer.settings.ackWaitMs,
  ): () => void {
    return timeline.at(ms, () => {
      if (!consumer.pending.has(seq)) return;
      consumer.again.add(seq);
      dispatch(stream, consumer);
    });
  }

  /** Answers by place: whatever message is there now. False when none is waited for. */
  function answer(
    name: string,
    durable: string,
    seq: number,
    kind: 'ack' | 'nak' | 'working',
    delayMs = 0,
  ): boolean {
    const stream = streams.get(name);
    const consumer = stream?.consumers.get(durable);
    const pending = consumer?.pending.get(seq);
    if (!stream || !consumer || !pending) return false;
    pending.off();
    if (kind === 'ack') {
      consumer.pending.delete(seq);
      consumer.again.delete(seq);
    } else pending.off = expire(stream, consumer, seq, kind === 'nak' ? delayMs : undefined);
    dispatch(stream, consumer);
    return true;
  }

  function applyConsumer(name: string, settings: ConsumerSettings): boolean {
    const stream = streams.get(name);
    if (!stream) return false;
    const found = stream.consumers.get(settings.durable);
    if (found) found.settings = settings;
    else
      stream.consumers.set(settings.durable, {
        settings,
        next: settings.from === 'all' ? 1 : stream.last + 1,
        pending: new Map(),
        again: new Set(),
        pullers: new Set(),
      });
    return true;
  }

  return {
    up: true,
    /** Requests wait until then. */
    frozenUntil: 0,
    /** How often it was started. */
    life: 1,
    streams: streams as ReadonlyMap<string, Pick<Stream, 'messages' | 'last'>>,
    watch: (watcher: (stream: string, message: Kept) => void) => void watchers.push(watcher),
    store,
    answer,
    applyConsumer,
    applyStream(settings: StreamSettings): void {
      const found = streams.get(settings.name);
      if (found) found.settings = settings;
      else {
        const fresh = { messages: new Map(), last: 0, ids: new Map(), consumers: new Map() };
        streams.set(settings.name, { settings, createdMs: epochMs + timeline.now, ...fresh });
      }
    },
    state(name: string): StreamState | undefined {
      const stream = streams.get(name);
      if (!stream) return undefined;
      const [oldest] = stream.messages.values();
      return {
        createdMs: stream.createdMs,
        messages: stream.messages.size,
        bytes: 0,
        maxBytes: stream.settings.maxBytes,
        first: oldest?.seq ?? stream.last + 1,
        last: stream.last,
        firstMs: oldest?.time.getTime() ?? 0,
      };
    },
    message: (name: string, seq: number) => streams.get(name)?.messages.get(seq),
    remove: (name: string, seq: number) => streams.get(name)?.messages.delete(seq) ?? false,
    deleteStream(name: string): void {
      for (const { pullers } of streams.get(name)?.consumers.values() ?? []) pullers.clear();
      streams.delete(name);
    },
    /** False when there is no such consumer. */
    join(name: string, durable: string, puller: Puller): boolean {
      const stream = streams.get(name);
      const consumer = stream?.consumers.get(durable);
      if (!stream || !consumer) return false;
      consumer.pullers.add(puller);
      dispatch(stream, consumer);
      return true;
    },
    leave(puller: Puller): void {
      for (const { consumers } of streams.values())
        for (const { pullers } of consumers.values()) pullers.delete(puller);
    },
    /** The machine loses power; what was stored since `since` was not on its disk. */
    losePower(since: number): void {
      for (const stream of streams.values()) {
        for (const [seq, { time }] of stream.messages)
          if (time.getTime() - epochMs > since) stream.messages.delete(seq);
        stream.last = Math.max(0, ...stream.messages.keys());
        for (const consumer of stream.consumers.values()) rewind(stream, consumer);
      }
    },
    /** After a restart it knows the ids of the messages it has. */
    restart(): void {
      this.up = true;
      this.life++;
      this.frozenUntil = 0;
      for (const { ids, messages } of streams.values()) {
        ids.clear();
        for (const { id, seq, time } of messages.values()) ids.set(id, { seq, at: time.getTime() - epochMs });
      }
    },
    matches,
  };

  function rewind(stream: Stream, consumer: Consumer): void {
    const older =
      chance.random() < 0.5 ? chance.between(Math.max(1, consumer.next - 10), consumer.next) : consumer.next;
    consumer.next = Math.min(older, stream.last + 1);
    for (const [seq, { off }] of consumer.pending)
      if (seq >= consumer.next) {
        off();
        consumer.pending.delete(seq);
        consumer.again.delete(seq);
      }
  }
}

export type Server = ReturnType<typeof createServer>;

/** Whether a subject fits a filter with `*` for one token and `>` for the rest. */
function matches(filter: string, subject: string): boolean {
  const [wanted, tokens] = [filter.split('.'), subject.split('.')];
  if (wanted.at(-1) !== '>' && wanted.length !== tokens.length) return false;
  return wanted.every(
    (one, i) => one === '>' || (tokens[i] !== undefined && (one === '*' || one === tokens[i])),
  );
}
