import type { Chance } from '@millrace/testing';

/** Virtual time and everything that waits for it. One thing happens at a time; between two of them all code comes to rest. */
export interface World {
  readonly chance: Chance;
  /** The true time, in milliseconds since 1970. No replica's clock need agree. */
  now(): number;
  /** Lets something happen later; answers how to call it off. */
  after(ms: number, act: () => void): () => void;
  /** Work of the real store, which takes real time: nothing else happens before it is done. */
  during<T>(work: Promise<T>): Promise<T>;
  /** Runs until it is done, or until so much virtual time has passed; whether it is done. */
  runUntil(done: () => boolean, withinMs: number): Promise<boolean>;
  /** A line of the trace. */
  say(who: string, what: string): void;
  steps(): number;
}

interface Happening {
  readonly atMs: number;
  readonly order: number;
  act: (() => void) | undefined;
}

export function createWorld(chance: Chance, trace?: (line: string) => void): World {
  const startMs = Date.UTC(2026, 0, 1);
  const queue: Happening[] = [];
  let nowMs = startMs;
  let order = 0;
  let underWay = 0;
  let steps = 0;

  /** Lets all code run until it waits for virtual time: an immediate comes after all that is ready. */
  async function rest(): Promise<void> {
    do await new Promise(setImmediate);
    while (underWay > 0);
  }

  return {
    chance,
    now: () => nowMs,
    after(ms, act) {
      const happening: Happening = { atMs: nowMs + Math.max(0, Math.round(ms)), order, act };
      order += 1;
      insert(queue, happening);
      return () => {
        happening.act = undefined;
      };
    },
    async during(work) {
      underWay += 1;
      try {
        return await work;
      } finally {
        underWay -= 1;
      }
    },
    async runUntil(done, withinMs) {
      const endMs = nowMs + withinMs;
      await rest();
      while (!done()) {
        const next = queue.pop();
        if (!next) return false;
        if (next.atMs > endMs) {
          queue.push(next);
          return false;
        }
        nowMs = next.atMs;
        if (!next.act) continue;
        steps += 1;
        next.act();
        await rest();
      }
      return true;
    },
    say: (who, what) =>
      trace?.(`${((nowMs - startMs) / 1000).toFixed(3).padStart(9)} ${who.padEnd(4)} ${what}`),
    steps: () => steps,
  };
}

/** Keeps the queue sorted, the next one last. */
function insert(queue: Happening[], happening: Happening): void {
  let low = 0;
  let high = queue.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = queue[middle]!;
    const isLater =
      other.atMs > happening.atMs || (other.atMs === happening.atMs && other.order > happening.order);
    if (isLater) low = middle + 1;
    else high = middle;
  }
  queue.splice(low, 0, happening);
}
