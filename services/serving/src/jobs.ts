import type { Job } from '@millrace/service';
import type { Routes } from './serve/live.ts';
import type { ModelSource } from './serve/model-source.ts';
import type { Reconciler } from './serve/reconciler.ts';

interface JobParts {
  readonly reconciler: Reconciler;
  readonly source: ModelSource;
  readonly routes: Routes;
}

/** What serving does by itself. */
export function servingJobs(
  { reconciler, source, routes }: JobParts,
  registryPollMs: number,
): readonly Job[] {
  const inUse = () =>
    new Set([...routes.all.values()].flatMap(({ targets }) => targets.map(({ digest }) => digest)));
  return [
    // Finds what another replica wrote, and tries failed loads again.
    { name: 'reconcile', everyMs: 1000, run: () => reconciler.sweep() },
    // Finds moves whose events never came.
    { name: 'aliases', everyMs: registryPollMs, run: () => reconciler.refreshAliases() },
    { name: 'prune the model cache', everyMs: 60_000, run: async () => void (await source.prune(inUse())) },
  ];
}
