import type { BlobStore } from '@millrace/blobs';
import type { RequestLedger } from '@millrace/documents';
import type { Logger } from '@millrace/telemetry';
import type { Expressions } from './domain/decision.ts';
import type { Examiner } from './examination/examiner.ts';
import type { RegistryStore } from './store/store.ts';

/** What the handlers, subscriptions and jobs of the registry work with. */
export interface Registry {
  readonly store: RegistryStore;
  readonly blobs: BlobStore;
  readonly ledger: RequestLedger;
  readonly expressions: Expressions;
  readonly examiner: Examiner;
  /** The largest model file that is taken. */
  readonly maxModelBytes: number;
  readonly log: Logger;
  now(): number;
}
