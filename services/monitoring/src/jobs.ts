import type { Job } from '@millrace/service';
import { closeWindows } from './store/close.ts';
import { all, type Store } from './store/store.ts';

/** How long one replica may close windows before it must renew. */
const leaseMs = 5_000;
const everyMs = 200;
/** Even without news every monitor is looked at this often: a crash may have left a window half judged. */
const sweepMs = 10_000;

/** Closes windows that are over. `wake` tells that rows or labels came in. Of several replicas one closes at a time. */
export function createJobs(
  store: Store,
  now: () => number,
  owner: string,
): { readonly jobs: readonly Job[]; wake(): void } {
  let news = true;
  let sweptMs = 0;
  const job: Job = {
    name: 'close windows',
    everyMs,
    run: async (signal) => {
      if (!news && now() - sweptMs < sweepMs) return;
      if (!(await store.documents.leases.acquire('close-windows', owner, leaseMs))) return;
      news = false;
      sweptMs = now();
      for await (const { id } of all(store.monitors, {})) {
        if (signal.aborted) return;
        await closeWindows(store, id, now);
      }
    },
  };
  return {
    jobs: [job],
    wake: () => {
      news = true;
    },
  };
}
