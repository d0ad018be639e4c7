import type { EngineOptions } from './engine.ts';

/** How much the wall clock jumped while something lasted: it was set, or the machine slept. */
export interface Jumps {
  /** Something begins now. */
  begin(what: string): void;
  /** It is over. */
  end(what: string): void;
  /** Milliseconds, negative backwards, since it began, or since the start of this process for what was there before. */
  since(what: string): number;
}

/** Clocks are also steered slowly; that is no jump. */
const leastMs = 1000;

/** Compares the wall clock, by which documents tell the time, with one that never jumps. */
export function createJumps({ now, timers }: Pick<EngineOptions, 'now' | 'timers'>): Jumps {
  const lead = () => now() - timers.monotonicMs();
  const first = lead();
  const leads = new Map<string, number>();
  return {
    begin: (what) => void leads.set(what, lead()),
    end: (what) => void leads.delete(what),
    since(what) {
      const jumped = lead() - (leads.get(what) ?? first);
      return Math.abs(jumped) < leastMs ? 0 : jumped;
    },
  };
}
