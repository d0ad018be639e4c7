import type { BlobStore } from '@millrace/blobs';
import { type Job, referencedBlobs } from '@millrace/service';
import type { Engine } from './engine/engine.ts';
import { type SchedulesDeps, tickSchedules } from './schedules.ts';
import { possibleReferences } from './store/references.ts';
import type { TriggerSubscriptions } from './subscriptions.ts';

/** What the orchestrator does by itself. Runs in hand are driven by events; none of these is in their way. */
export function createJobs(
  engine: Engine,
  schedules: SchedulesDeps,
  triggers: TriggerSubscriptions,
  blobs: BlobStore,
  every: { readonly leaseMs: number; readonly scanMs: number; readonly blobGraceMs: number },
): readonly Job[] {
  let started = false;
  return [
    { name: 'leases', everyMs: every.leaseMs / 4, run: () => engine.renew() },
    { name: 'scan', everyMs: every.scanMs, run: () => engine.scan() },
    { name: 'schedules', everyMs: 250, run: () => tickSchedules(schedules) },
    // Triggers that were applied through another replica.
    { name: 'triggers', everyMs: 2000, run: () => triggers.refresh() },
    {
      // What attempts left that lost their fence, and uploads that no pipeline came for.
      name: 'unreferenced blobs',
      everyMs: every.blobGraceMs / 4,
      async run(signal) {
        const { store, shards, log } = schedules;
        // Not at every start: it reads all documents. One replica does it.
        if (!started || !shards.owns('blobs')) started = true;
        else {
          const referenced = new Set<string>();
          for await (const digest of referencedBlobs(store.documents, possibleReferences, signal))
            referenced.add(digest);
          const keep = (digest: string) => referenced.has(digest);
          const removed = await blobs.sweep({ unusedMs: every.blobGraceMs, keep, signal });
          if (removed > 0) log.info({ removed }, 'blobs that nothing refers to were removed');
        }
      },
    },
  ];
}
