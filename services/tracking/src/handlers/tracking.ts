import type { BlobStore } from '@millrace/blobs';
import { TrackingService } from '@millrace/contracts/tracking';
import { createRequestLedger, type DocumentStore } from '@millrace/documents';
import { type Implementation, implement } from '@millrace/rpc';
import type { TrackingStore } from '../store/open.ts';
import { artifactHandlers } from './artifacts.ts';
import { experimentHandlers } from './experiments.ts';
import { inputHandlers } from './inputs.ts';
import { metricHandlers } from './metrics.ts';
import { createOnce } from './request.ts';
import { runHandlers } from './runs.ts';
import { searchHandlers } from './search.ts';
import { watchHandlers } from './watch.ts';

export interface TrackingHandlerOptions {
  readonly documents: DocumentStore;
  readonly blobs: BlobStore;
  readonly store: TrackingStore;
  readonly now: () => number;
  /** The largest artifact that is taken, in bytes. */
  readonly maxArtifactBytes: number;
}

/** The RPC edge of tracking. */
export function trackingHandlers(options: TrackingHandlerOptions): Implementation {
  const { documents, blobs, store, now, maxArtifactBytes: maxBytes } = options;
  const ledger = createRequestLedger(documents);
  const once = createOnce(ledger);
  return implement(TrackingService, {
    ...experimentHandlers(store, once),
    ...runHandlers(store, once, now),
    ...searchHandlers(store),
    ...metricHandlers(store, now),
    ...watchHandlers(store, documents),
    ...inputHandlers(store, once),
    ...artifactHandlers({ store, blobs, once, maxBytes }),
  });
}
