/** Virtual time: what is to happen, in order. No real time passes. */
export interface Timeline {
  /** Milliseconds since the world began. */
  readonly now: number;
  /** Does something `ms` from now; returns how to call it off. */
  at(ms: number, act: () => void): () => void;
  /** Counts work that real code does outside of virtual time, so that a step waits for its end. */
  busy<T>(work: Promise<T>): Promise<T>;
  /** Moves on to the next thing that is to happen, does it, and waits until all code stands still. */
  step(): Promise<void>;
}

interface Entry {
  readonly time: number;
  readonly act: () => void;
  off: boolean;
}

export function createTimeline(): Timeline {
  const entries: Entry[] = [];
  let now = 0;
  let working = 0;
  return {
    get now() {
      return now;
    },
    at(ms, act) {
      const entry = { time: now + Math.max(0, ms), act, off: false };
      // Behind all that happens at the same time or earlier.
      let [low, high] = [0, entries.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (entries[middle]!.time <= entry.time) low = middle + 1;
        else high = middle;
      }
      entries.splice(low, 0, entry);
      return () => {
        entry.off = true;
      };
    },
    async busy(work) {
      working++;
      try {
        return await work;
      } finally {
        working--;
      }
    },
    async step() {
      let entry = entries.shift();
      while (entry?.off) entry = entries.shift();
      if (!entry) throw new Error('nothing is to happen any more');
      now = entry.time;
      entry.act();
      do await new Promise((resolve) => setImmediate(resolve));
      while (working > 0);
    },
  };
}
