import { type Context, streamOf } from '@millrace/contracts';
import type { DocumentStore } from '@millrace/documents';
import { CodedError, unavailable } from '@millrace/errors';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { StreamState, Streams, Waiting } from '../port.ts';
import { readHolders, roomUntil } from './hold.ts';
import type { createMarks } from './marks.ts';

export interface RoomOptions {
  readonly store: Pick<DocumentStore, 'events'>;
  readonly bus: Pick<Streams, 'readWaiting' | 'read' | 'trim'>;
  readonly context: Context;
  readonly marks: ReturnType<typeof createMarks>;
  readonly log: Log;
  readonly clock: Clock;
  /** How long a full stream waits for a consumer that holds it. @default 24 hours */
  readonly holdMs?: number | undefined;
}

const hourMs = 3_600_000;

/** Lets the oldest messages of a stream go when it is full, but for a while none that a consumer which holds it has not taken. */
export function createRoom({ store, bus, context, marks, log, clock, holdMs = 24 * hourMs }: RoomOptions) {
  const { name } = streamOf(context);
  /** Since when each consumer is in the way. Kept in memory: after a restart the time begins anew. */
  const since = new Map<string, number>();
  let told = '';

  /** The first event of the record from a place on; 0 when there is none. */
  async function sequenceFrom(place: number): Promise<number> {
    const last = await store.events.last();
    for await (const { headers } of bus.read(name, { from: place, headersOnly: true })) {
      const sequence = Number(headers?.get('ce-sequence') ?? 0);
      // Others can publish to the stream, and the record may be that of a backup: it knows numbers up to its last only.
      if (sequence > 0 && sequence <= last) return sequence;
    }
    return 0;
  }

  /** Those for whom it is not time yet to go on without them. */
  function stillAwaited(holders: readonly Waiting[]): Waiting[] {
    const now = clock.monotonic();
    for (const durable of since.keys())
      if (!holders.some((holder) => holder.durable === durable)) since.delete(durable);
    for (const { durable } of holders) if (!since.has(durable)) since.set(durable, now);
    return holders.filter(({ durable }) => now - since.get(durable)! < holdMs);
  }

  /** Before it happens: what was let go without a word would be lost without a word. */
  async function tellLost(holders: readonly Waiting[], until: number): Promise<void> {
    const from = await sequenceFrom(Math.min(...holders.map(({ seq }) => seq)));
    // Only others' messages are there.
    if (from === 0) return;
    const next = await sequenceFrom(until);
    const to = next > from ? next - 1 : from;
    const durables = joined(holders);
    log.error(
      { stream: name, durables, from, to },
      `stream ${name} waited ${holdMs / hourMs} hours for ${durables} and goes on without: events ${from} to ${to} are lost ` +
        `to them. Once they run: millrace replay --context ${context} --from ${from} --to ${to}`,
    );
  }

  async function trim(state: StreamState, remember: (first: number) => Promise<void>): Promise<Waiting[]> {
    if (state.messages === 0) throw unavailable(`stream ${name} is empty and takes no event; it`);
    const until = roomUntil(state);
    const holders = await readHolders(bus, name, state);
    const awaited = stillAwaited(holders);
    if (awaited.length > 0) return awaited;
    if (holders.length > 0) await tellLost(holders, until);
    await remember(until);
    await bus.trim(name, until);
    if (told) log.info({ stream: name }, 'the stream has room again; the relay goes on');
    told = '';
    return [];
  }

  return {
    /** Tells who keeps it from making room; `remember` is called with the new beginning before messages go. */
    trim,
    /** Remembers what the stream must still hold when it begins at `place`. To be called before the messages go. */
    async noteOldest(place: number): Promise<void> {
      // Events that were put back stand behind younger ones: what stands before a place tells nothing of them.
      if (place > (await marks.readMended())) await marks.writeOldest(await sequenceFrom(place));
    },
    /** Says once who holds the stream, and throws STREAM_FULL. */
    refuse(holders: readonly Waiting[]): never {
      const durables = joined(holders);
      const message = `stream ${name} is full of events that ${durables} did not take`;
      if (durables !== told)
        log.warn(
          { stream: name, durables },
          `${message}; they wait in the record. Start what takes them, or let it go: nats consumer rm ${name} <durable>`,
        );
      told = durables;
      throw new CodedError('resource_exhausted', 'STREAM_FULL', message);
    },
  };
}

const joined = (holders: readonly Waiting[]) => holders.map(({ durable }) => durable).join(', ');
