import type { Job } from '@millrace/service';
import type { Reconciler } from './serve/reconciler.ts';

/** What serving does by itself. */
export function servingJobs(reconciler: Reconciler, registryPollMs: number): readonly Job[] {
  return [
    // Finds what another replica wrote, and tries failed loads again.
    { name: 'reconcile', everyMs: 1000, run: () => reconciler.sweep() },
    // Finds moves whose events never came.
    { name: 'aliases', everyMs: registryPollMs, run: () => reconciler.refreshAliases() },
  ];
}
