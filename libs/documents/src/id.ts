import { randomFillSync } from 'node:crypto';

/** Asking the system for each id took longer than the rest of it. */
const pool = Buffer.alloc(4_000);
let taken = pool.length;

let lastMs = 0;
let counter = 0;

/**
 * A UUIDv7 without dashes: 32 lowercase hex digits that sort by time (RFC 9562 §5.7, with `rand_a` as a counter).
 * Within a process each id is greater than every id before it, also when the clock steps back.
 */
export function newId(): string {
  const now = Date.now();
  const random = tenRandomBytes();
  if (now > lastMs) {
    lastMs = now;
    // Half of the counter's range is left for ids of the same millisecond.
    counter = random.readUInt16BE(8) & 0x7ff;
  } else {
    counter += 1;
    if (counter > 0xfff) {
      lastMs += 1;
      counter = 0;
    }
  }
  const time = lastMs.toString(16).padStart(12, '0');
  const variant = ((random[0]! & 0x3f) | 0x80).toString(16);
  return `${time}7${counter.toString(16).padStart(3, '0')}${variant}${random.toString('hex', 1, 8)}`;
}

function tenRandomBytes(): Buffer {
  if (taken === pool.length) {
    randomFillSync(pool);
    taken = 0;
  }
  taken += 10;
  return pool.subarray(taken - 10, taken);
}
