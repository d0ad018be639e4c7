import { FeatureStoreService } from '@millrace/contracts/features';
import { createRequestLedger, newId } from '@millrace/documents';
import type { CommonConfig, Deps, Parts } from '@millrace/service';
import { createHandlers } from './handlers/index.ts';
import { createJobs } from './jobs.ts';
import { collections } from './store/collections.ts';
import { openStore } from './store/store.ts';
import { startSubscriptions } from './subscriptions.ts';

/** Puts the service together. */
export async function build(_config: CommonConfig, deps: Deps): Promise<Parts> {
  const documents = await deps.documents(collections);
  const store = openStore(documents);
  const ledger = createRequestLedger(documents);
  const features = deps.client(FeatureStoreService, 'features');
  const { jobs, wake } = createJobs(store, deps.now, newId());
  return {
    store: documents,
    implementations: [createHandlers({ store, ledger, features, now: deps.now })],
    subscriptions: () => startSubscriptions(deps.bus, store, deps.log, deps.now, wake),
    jobs,
  };
}
