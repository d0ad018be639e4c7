import { CodedError, unavailable } from '@millrace/errors';
import type { Log } from '../log.ts';
import type { StreamState, Streams, Waiting } from '../port.ts';
import type { createMarks } from './marks.ts';

export interface RoomOptions {
  readonly bus: Pick<Streams, 'readWaiting' | 'read' | 'trim'>;
  /** The stream's name. */
  readonly name: string;
  readonly marks: ReturnType<typeof createMarks>;
  readonly log: Log;
}

/** Lets the oldest messages of a stream go when it is full, but none that a consumer which holds it has not taken. */
export function createRoom({ bus, name, marks, log }: RoomOptions) {
  let told = '';

  /** The first event of the record from a place on; 0 when there is none. */
  async function sequenceFrom(place: number): Promise<number> {
    for await (const { headers } of bus.read(name, { from: place, headersOnly: true })) {
      const sequence = Number(headers?.get('ce-sequence') ?? 0);
      if (sequence > 0) return sequence;
    }
    return 0;
  }

  /** A tenth at a time: a consumer that takes one message after the other must not make each of them a round of its own. */
  async function trim(state: StreamState, remember: (first: number) => Promise<void>): Promise<Waiting[]> {
    if (state.messages === 0) throw unavailable(`stream ${name} is empty and takes no event; it`);
    const until = state.first + Math.ceil((state.last - state.first + 1) / 10);
    const holders = (await bus.readWaiting(name)).filter(({ seq }) => seq < until);
    if (holders.length > 0) return holders;
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
      const durables = holders.map(({ durable }) => durable).join(', ');
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
