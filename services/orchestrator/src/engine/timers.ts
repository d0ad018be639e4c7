/** What calls the engine back when time has passed. */
export interface Timers {
  /** Calls `act` after `ms` milliseconds, at 0 once what is at hand is done; answers how to call it off. */
  after(ms: number, act: () => void): () => void;
  /** A clock that never jumps, in milliseconds since some moment. */
  monotonicMs(): number;
}

/** The longest wait a timer of Node can have, in milliseconds. */
const mostMs = 2 ** 31 - 1;

/** Timers in real time. Whoever must wait longer than 24 days is called early, and waits again. */
export const realTimers: Timers = {
  after(ms, act) {
    if (ms <= 0) {
      const soon = setImmediate(act);
      return () => clearImmediate(soon);
    }
    const timer = setTimeout(act, Math.min(ms, mostMs));
    return () => clearTimeout(timer);
  },
  monotonicMs: () => performance.now(),
};
