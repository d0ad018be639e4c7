/** A clock that stands still until it is moved. */
export interface FakeClock {
  /** Epoch milliseconds; pass it where a `now` is wanted. */
  now(): number;
  /** Moves on (or, negative, back). */
  advance(ms: number): void;
  set(epochMs: number): void;
}

/** Makes a fake clock. @default start 2026-01-01T00:00:00Z */
export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let current = startMs;
  return {
    now: () => current,
    advance: (ms) => {
      current += ms;
    },
    set: (epochMs) => {
      current = epochMs;
    },
  };
}
