import type { Config } from '@millrace/config';
import type { CommonConfig, Deps, Parts } from '@millrace/service';
import type { settings } from './config.ts';
import { trackingHandlers } from './handlers/tracking.ts';
import { settleMetrics } from './jobs.ts';
import { collections } from './store/collections.ts';
import { openTrackingStore } from './store/open.ts';
import { blobReferences } from './store/references.ts';
import { subscribeTracking } from './subscriptions.ts';

/** Puts the service together from what it is given. */
export async function build(config: Config<typeof settings> & CommonConfig, deps: Deps): Promise<Parts> {
  const documents = await deps.documents(collections);
  const blobs = await deps.blobs();
  const { bus, log, now } = deps;
  const store = openTrackingStore(documents, now);
  const maxArtifactBytes = config.MAX_ARTIFACT_BYTES;
  return {
    store: documents,
    blobReferences,
    implementations: [trackingHandlers({ documents, blobs, store, now, maxArtifactBytes })],
    subscriptions: async () => [await subscribeTracking({ bus, store, log, now })],
    jobs: [settleMetrics(documents, store.batches, now)],
  };
}
