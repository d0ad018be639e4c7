import type { StreamState } from '../port.ts';

/** What is remembered of a stream between checks: enough to see that it lost something. */
export interface StreamMark {
  /** When the stream was made, as epoch milliseconds. */
  readonly createdMs: number;
  readonly first: number;
  readonly last: number;
  /** When the oldest message was stored, at the earliest; 0 when that is not known. */
  readonly firstMs: number;
  /** How many messages between the first and the last are gone. */
  readonly holes: number;
  /** How full the stream is: bytes by the most it keeps, 0 to 1. */
  readonly fill: number;
}

/** The mark of a stream as it is now. What an empty stream will hold is stored later than now. */
export function markOf(state: StreamState, nowMs: number): StreamMark {
  const { createdMs, first, last, messages } = state;
  const firstMs = messages === 0 ? nowMs : state.firstMs;
  const span = messages === 0 ? 0 : last - first + 1;
  return { createdMs, first, last, firstMs, holes: span - messages, fill: fillOf(state) };
}

/** How full a stream is, 0 to 1. */
export function fillOf({ bytes, maxBytes }: StreamState): number {
  return maxBytes > 0 ? bytes / maxBytes : 0;
}

/**
 * Says what a stream lost since it was last seen, or undefined when all is as it should be. Only age and size may
 * take messages away, and only the oldest.
 */
export function findLoss(
  before: StreamMark,
  now: StreamMark,
  ageMs: number,
  nowMs: number,
): string | undefined {
  if (now.createdMs !== before.createdMs) return 'the stream was deleted and made anew';
  if (now.last < before.last) return `the stream ends at ${now.last}, but ${before.last} was acknowledged`;
  if (now.holes > before.holes) return `${now.holes - before.holes} messages inside the stream are gone`;
  const expired = before.firstMs === 0 || before.firstMs <= nowMs - ageMs + 60_000;
  const full = Math.max(before.fill, now.fill) > 0.9;
  if (now.first > before.first && !expired && !full)
    return `the stream begins at ${now.first}, but messages from ${before.first} on are not old enough to go`;
  return undefined;
}

/** A set of sequence numbers in 8 KiB pages: a million of them take 128 KiB. */
export function createSequenceSet() {
  const pages = new Map<number, Uint8Array>();
  let smallest = Number.POSITIVE_INFINITY;
  return {
    add(sequence: number): void {
      const page = Math.floor(sequence / 65_536);
      const bits = pages.get(page) ?? new Uint8Array(8_192);
      pages.set(page, bits);
      const bit = sequence % 65_536;
      bits[bit >> 3] = bits[bit >> 3]! | (1 << (bit & 7));
      smallest = Math.min(smallest, sequence);
    },
    has(sequence: number): boolean {
      const bits = pages.get(Math.floor(sequence / 65_536));
      const bit = sequence % 65_536;
      return bits !== undefined && (bits[bit >> 3]! & (1 << (bit & 7))) !== 0;
    },
    /** The smallest number in the set; infinity when it is empty. */
    get smallest() {
      return smallest;
    },
  };
}
