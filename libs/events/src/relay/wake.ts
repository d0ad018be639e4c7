import type { Clock } from '../clock.ts';

/** A signal that one loop waits for. A signal given while nobody waits is kept for the next wait. */
export function createWake(clock: Pick<Clock, 'sleep'>) {
  let given = false;
  let waiting: AbortController | undefined;
  return {
    now(): void {
      given = true;
      waiting?.abort();
    },
    /** Waits for the signal, at most `ms`. */
    async wait(ms: number): Promise<void> {
      waiting = new AbortController();
      if (!given) await clock.sleep(ms, waiting.signal);
      given = false;
      waiting = undefined;
    },
  };
}
