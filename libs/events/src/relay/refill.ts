import { type Context, streamOf } from '@millrace/contracts';
import type { DocumentStore, RecordedEvent } from '@millrace/documents';
import type { Streams } from '../port.ts';
import { streamAgeMs } from '../stream.ts';
import { deliver } from './deliver.ts';
import { createSequenceSet, fillOf } from './gap.ts';
import type { Placed } from './marks.ts';
import { publishInOrder } from './order.ts';
import { onOneConnection } from './steady.ts';

export interface RefillOptions {
  readonly store: Pick<DocumentStore, 'events'>;
  readonly bus: Streams;
  readonly context: Context;
  /** The first sequence number to look at. @default the oldest of the record */
  readonly from?: number;
  /** The last sequence number to look at. @default the newest of the record */
  readonly to?: number;
  /** Publishes what comes after `to` as well, and does not count it. @default false */
  readonly beyond?: boolean;
  /** Events that happened before are left out: the stream would have dropped them. @default 7 days ago */
  readonly sinceMs?: number;
  /** @default 64 */
  readonly window?: number;
}

/** What a refill did. */
export interface Refilled {
  /** How many events were published again. */
  readonly published: number;
  /** How many the stream still had. */
  readonly present: number;
  /** The last of the recorded events in the stream; undefined when it has none. */
  readonly newest?: Placed;
}

/**
 * Compares a stream with the record and publishes what it lacks, in order and with the same ids. Throws
 * `unavailable` when NATS went away; run again, it continues.
 */
export function refillStream(options: RefillOptions): Promise<Refilled> {
  return onOneConnection(options.bus, (requireSame) => refill(options, requireSame));
}

async function refill(options: RefillOptions, requireSame: () => void): Promise<Refilled> {
  const { store, bus, context } = options;
  const first = Math.max(options.from ?? 1, await store.events.first());
  const to = options.to ?? (await store.events.last());
  const held = await readSequences(bus, context, await store.events.last());
  const sinceMs = options.sinceMs ?? Date.now() - streamAgeMs;
  // A stream at its size limit has dropped its oldest messages by right.
  const floor = held.full ? held.sequences.smallest : 0;
  let [published, present] = [0, 0];
  let { newest } = held;
  const end = options.beyond ? await store.events.last() : to;
  for (let after = first - 1; after < end; ) {
    const page = await store.events.read({ after, limit: 1_000 });
    const missing: RecordedEvent[] = [];
    for (const event of page) {
      if (event.sequence > end) break;
      if (held.sequences.has(event.sequence)) present++;
      else if (event.timeMs >= sinceMs && event.sequence >= floor) missing.push(event);
    }
    const { count, error } = await publishInOrder(missing, options.window ?? 64, async (event, after) => {
      const { seq } = await deliver(bus, context, event, requireSame, { after });
      if (seq > (newest?.at ?? 0)) newest = { at: seq, sequence: event.sequence };
    });
    published += missing.slice(0, count).filter(({ sequence }) => sequence <= to).length;
    if (error) throw error;
    const last = page.at(-1);
    if (!last) break;
    after = last.sequence;
  }
  return { published, present, ...(newest ? { newest } : {}) };
}

async function readSequences(bus: Pick<Streams, 'readState' | 'read'>, context: Context, last: number) {
  const { name } = streamOf(context);
  const state = await bus.readState(name);
  const full = state !== undefined && fillOf(state) > 0.9;
  const sequences = createSequenceSet();
  let newest: Placed | undefined;
  for await (const message of bus.read(name, { headersOnly: true })) {
    const sequence = Number(message.headers?.get('ce-sequence') ?? 0);
    // Others can publish to the stream: numbers that were never given take no memory.
    if (sequence <= 0 || sequence > last) continue;
    sequences.add(sequence);
    newest = { at: message.seq, sequence };
  }
  return { sequences, full, newest };
}
