import type { FeatureStoreService } from '@millrace/contracts/features';
import type { RequestLedger } from '@millrace/documents';
import type { Client } from '@millrace/rpc';
import type { Store } from '../store/store.ts';

/** What the handlers work with. */
export interface Context {
  readonly store: Store;
  readonly ledger: RequestLedger;
  readonly features: Client<typeof FeatureStoreService>;
  now(): number;
}
