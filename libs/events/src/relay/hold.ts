import type { StreamState, Streams, Waiting } from '../port.ts';
import { fillOf } from './gap.ts';

/** How full a stream may be before room is made in it ahead. */
export const crowded = 0.9;

/**
 * Up to which place messages go when room is made. A tenth at a time: a consumer that takes one message after the other
 * must not make each of them a round of its own.
 */
export function roomUntil({ first, last }: StreamState): number {
  return first + Math.ceil((last - first + 1) / 10);
}

/** The consumers that have not acknowledged what would have to go to make room. */
export async function readHolders(
  bus: Pick<Streams, 'readWaiting'>,
  name: string,
  state: StreamState,
): Promise<Waiting[]> {
  const until = roomUntil(state);
  return (await bus.readWaiting(name)).filter(({ seq }) => seq < until);
}

/** What keeps a stream full. */
export interface Hold {
  readonly durables: readonly string[];
  /** When the oldest message that waits for them was stored, as epoch milliseconds. */
  readonly sinceMs: number;
}

/** Who keeps a stream full; undefined when it has room, or nobody does. Throws `unavailable`. */
export async function readHold(
  bus: Pick<Streams, 'readState' | 'readWaiting' | 'readMessage'>,
  name: string,
): Promise<Hold | undefined> {
  const state = await bus.readState(name);
  if (!state || state.messages === 0 || fillOf(state) <= crowded) return undefined;
  const holders = await readHolders(bus, name, state);
  if (holders.length === 0) return undefined;
  const oldest = await bus.readMessage(name, Math.min(...holders.map(({ seq }) => seq)));
  const sinceMs = oldest?.time.getTime() ?? state.firstMs;
  return { durables: holders.map(({ durable }) => durable), sinceMs };
}
