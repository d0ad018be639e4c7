import type { Job } from '@millrace/service';
import { closeWindows } from './store/close.ts';
import { clearRemovals, forgetLabels } from './store/removal.ts';
import { all, type Store } from './store/store.ts';

/** How long one replica may close windows before it must renew. */
const leaseMs = 5_000;
const everyMs = 200;
/** Even without news every monitor is looked at this often: a crash may have left a window half judged. */
const sweepMs = 10_000;
/** How often what nobody needs any more is looked for. */
const tidyMs = 10 * 60_000;

/** Closes windows that are over. `wake` tells that rows or labels came in. Of several replicas one closes at a time. */
export function createJobs(
  store: Store,
  now: () => number,
  owner: string,
): { readonly jobs: readonly Job[]; wake(): void } {
  const { leases } = store.documents;
  let news = true;
  let sweptMs = 0;
  const close: Job = {
    name: 'close windows',
    everyMs,
    run: async (signal) => {
      if (!news && now() - sweptMs < sweepMs) return;
      news = false;
      sweptMs = now();
      const failures: unknown[] = [];
      for await (const { id } of all(store.monitors, {})) {
        if (signal.aborted || !(await leases.acquire('close-windows', owner, leaseMs))) return;
        // A monitor that cannot be judged does not keep the others from being judged.
        await closeWindows(store, id, now).catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw failures[0];
    },
  };
  const tidy: Job = {
    name: 'remove what nobody needs',
    everyMs: tidyMs,
    run: async () => {
      if (!(await leases.acquire('tidy', owner, leaseMs))) return;
      await clearRemovals(store);
      await forgetLabels(store, now());
    },
  };
  return {
    jobs: [close, tidy],
    wake: () => {
      news = true;
    },
  };
}
