import { setTimeout as sleep } from 'node:timers/promises';
import { infer, type Millrace } from '@millrace/sdk';
import type { Flight } from './flights.ts';
import { tensorsOf } from './traffic.ts';

/** What the departure board saw. */
export interface BoardCounts {
  asked: number;
  failed: number;
  /** The versions that answered, in the order of their first answer. */
  readonly versions: string[];
}

const everyMs = 40;

/**
 * A departure board: asks about one flight after the other, all the time, whatever happens behind it, and does not ask
 * twice. It shows whether a swap of models fails any request.
 */
export function startBoard(
  millrace: Millrace,
  flights: readonly Flight[],
): { readonly counts: BoardCounts; stop(): Promise<void> } {
  const counts: BoardCounts = { asked: 0, failed: 0, versions: [] };
  let running = true;
  const loop = (async () => {
    for (let i = 0; running; i = (i + 1) % flights.length) {
      const flight = flights[i];
      if (!flight) break;
      counts.asked++;
      try {
        const answer = await infer(millrace, 'departure-board', tensorsOf([flight]), { deadlineMs: 5000 });
        if (!counts.versions.includes(answer.modelVersion)) counts.versions.push(answer.modelVersion);
      } catch {
        counts.failed++;
      }
      await sleep(everyMs);
    }
  })();
  return {
    counts,
    stop: async () => {
      running = false;
      await loop;
    },
  };
}
