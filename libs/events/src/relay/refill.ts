import { type Context, streamOf } from '@millrace/contracts';
import type { DocumentStore, RecordedEvent } from '@millrace/documents';
import type { Streams } from '../port.ts';
import { sendEvent } from '../publish.ts';
import { streamAgeMs } from '../stream.ts';
import { createSequenceSet, fillOf } from './gap.ts';
import { publishInOrder } from './order.ts';

export interface RefillOptions {
  readonly store: Pick<DocumentStore, 'events'>;
  readonly bus: Pick<Streams, 'send' | 'readState' | 'read'>;
  readonly context: Context;
  /** The first sequence number to look at. @default the oldest of the record */
  readonly from?: number;
  /** The last sequence number to look at. @default the newest of the record */
  readonly to?: number;
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
}

/**
 * Compares a stream with the record and publishes what it lacks, in order and with the same ids. Throws
 * `unavailable` when NATS went away; run again, it continues.
 */
export async function refillStream(options: RefillOptions): Promise<Refilled> {
  const { store, bus, context } = options;
  const first = Math.max(options.from ?? 1, await store.events.first());
  const to = options.to ?? (await store.events.last());
  const held = await readSequences(bus, context, await store.events.last());
  const sinceMs = options.sinceMs ?? Date.now() - streamAgeMs;
  // A stream at its size limit has dropped its oldest messages by right.
  const floor = held.full ? held.sequences.smallest : 0;
  let [published, present] = [0, 0];
  for (let after = first - 1; after < to; ) {
    const page = await store.events.read({ after, limit: 1_000 });
    const missing: RecordedEvent[] = [];
    for (const event of page) {
      if (event.sequence > to) break;
      if (held.sequences.has(event.sequence)) present++;
      else if (event.timeMs >= sinceMs && event.sequence >= floor) missing.push(event);
    }
    const { count, error } = await publishInOrder(missing, options.window ?? 64, (event) =>
      sendAgain(bus, event),
    );
    published += count;
    if (error) throw error;
    const last = page.at(-1);
    if (!last) break;
    after = last.sequence;
  }
  return { published, present };
}

/** The server may still know the id of a message that it lost; then another de-duplication id lets it in. */
async function sendAgain(bus: Pick<Streams, 'send'>, event: RecordedEvent): Promise<void> {
  const { duplicate, seq } = await sendEvent(bus, event);
  if (duplicate) await sendEvent(bus, event, { messageId: `${event.id}:refill:${seq}` });
}

async function readSequences(bus: Pick<Streams, 'readState' | 'read'>, context: Context, last: number) {
  const { name } = streamOf(context);
  const state = await bus.readState(name);
  const full = state !== undefined && fillOf(state) > 0.9;
  const sequences = createSequenceSet();
  for await (const message of bus.read(name, { headersOnly: true })) {
    const sequence = Number(message.headers?.get('ce-sequence') ?? 0);
    // Others can publish to the stream: numbers that were never given take no memory.
    if (sequence > 0 && sequence <= last) sequences.add(sequence);
  }
  return { sequences, full };
}
