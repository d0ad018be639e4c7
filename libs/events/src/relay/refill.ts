import { type Context, streamOf } from '@millrace/contracts';
import type { DocumentStore, RecordedEvent } from '@millrace/documents';
import { isCoded } from '@millrace/errors';
import type { Streams } from '../port.ts';
import { streamAgeMs } from '../stream.ts';
import { deliver } from './deliver.ts';
import { createSequenceSet } from './gap.ts';
import { createMarks, cursorOf, type Placed } from './marks.ts';
import { publishInOrder } from './order.ts';
import { onOneConnection } from './steady.ts';

export interface RefillOptions {
  readonly store: Pick<DocumentStore, 'events' | 'cursors'>;
  readonly bus: Streams;
  readonly context: Context;
  /** The first sequence number to look at. @default the oldest of the record */
  readonly from?: number;
  /** The last sequence number to look at, up to where the relay came. @default where the relay came */
  readonly to?: number;
  /** Publishes what the relay did not come to as well, and does not count it. @default false */
  readonly beyond?: boolean;
  /** Publishes again what a full stream let go as well. @default false */
  readonly letGo?: boolean;
  /** Events that happened before are left out: the stream would have dropped them. @default 7 days ago */
  readonly sinceMs?: number;
  /** @default 64 */
  readonly window?: number;
  /** Makes room in a stream that is full. @default STREAM_FULL is thrown */
  readonly makeRoom?: () => Promise<void>;
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
 * Compares a stream with the record and publishes what it lacks, in order and with the same ids; not what a full stream
 * let go because all had taken it. Throws `unavailable` when NATS went away, and STREAM_FULL; run again, it continues.
 */
export function refillStream(options: RefillOptions): Promise<Refilled> {
  return onOneConnection(options.bus, (requireSame) => refill(options, requireSame));
}

async function refill(options: RefillOptions, requireSame: () => void): Promise<Refilled> {
  const { store, bus, context } = options;
  const marks = createMarks(store.cursors, cursorOf(context));
  const oldest = options.letGo ? 1 : await marks.readOldest();
  const first = Math.max(options.from ?? 1, await store.events.first(), oldest);
  // What comes after it is the relay's to publish: a full stream may wait, and what is on its way is not missing. Read
  // before the stream is.
  const position = await store.cursors.get(cursorOf(context));
  const to = Math.min(options.to ?? position, position);
  const held = await readSequences(bus, context, await store.events.last());
  const sinceMs = options.sinceMs ?? Date.now() - streamAgeMs;
  const mended = createMended(marks);
  // The relay's own also ends what was left open by one that did not come to its end.
  if (options.beyond) await mended.begin();
  let [published, present] = [0, 0];
  let { newest } = held;
  const end = options.beyond ? await store.events.last() : to;
  for (let after = first - 1; after < end; ) {
    const page = await store.events.read({ after, limit: 1_000 });
    const missing: RecordedEvent[] = [];
    for (const event of page) {
      if (event.sequence > end) break;
      if (held.sequences.has(event.sequence)) present++;
      else if (event.timeMs >= sinceMs) missing.push(event);
    }
    if (missing.length > 0) await mended.begin();
    while (missing.length > 0) {
      const { count, error } = await publishInOrder(missing, options.window ?? 64, async (event, after) => {
        const { seq, fresh } = await deliver(bus, context, event, requireSame, { after });
        if (fresh) mended.note(seq);
        if (seq > (newest?.at ?? 0)) newest = { at: seq, sequence: event.sequence };
      });
      published += missing.splice(0, count).filter(({ sequence }) => sequence <= to).length;
      if (isCoded(error, 'STREAM_FULL') && options.makeRoom) await options.makeRoom();
      else if (error) {
        // After any other failure it is not known what the stream took.
        if (isCoded(error, 'STREAM_FULL')) await mended.end(newest?.at ?? 0);
        throw error;
      }
    }
    const last = page.at(-1);
    if (!last) break;
    after = last.sequence;
  }
  await mended.end(newest?.at ?? 0);
  return { published, present, ...(newest ? { newest } : {}) };
}

async function readSequences(bus: Pick<Streams, 'read'>, context: Context, last: number) {
  const { name } = streamOf(context);
  const sequences = createSequenceSet();
  let newest: Placed | undefined;
  for await (const message of bus.read(name, { headersOnly: true })) {
    const sequence = Number(message.headers?.get('ce-sequence') ?? 0);
    // Others can publish to the stream: numbers that were never given take no memory.
    if (sequence <= 0 || sequence > last) continue;
    sequences.add(sequence);
    newest = { at: message.seq, sequence };
  }
  return { sequences, newest };
}

/** Remembers up to which place events were put back behind younger ones. */
function createMended(marks: ReturnType<typeof createMarks>) {
  let before: number | undefined;
  let place = 0;
  return {
    /** To be called before anything is put back: where it ends up is not known, and a crash must not hide that it is there. */
    async begin(): Promise<void> {
      if (before !== undefined) return;
      before = await marks.readMended();
      await marks.writeMended(Number.MAX_SAFE_INTEGER);
    },
    note(at: number): void {
      place = Math.max(place, at);
    },
    /** The stream's newest event of the record is at `end`: in one that was made anew what was remembered is beyond. */
    async end(end: number): Promise<void> {
      if (before !== undefined) await marks.writeMended(Math.min(Math.max(before, place), end));
    },
  };
}
