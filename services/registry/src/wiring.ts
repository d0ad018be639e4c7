import type { Config } from '@millrace/config';
import { createRequestLedger } from '@millrace/documents';
import { defaultLimits } from '@millrace/onnx';
import type { Deps, Parts } from '@millrace/service';
import type { settings } from './config.ts';
import { createExaminer } from './examination/examiner.ts';
import { celExpressions } from './expression/expressions.ts';
import { implementations } from './handlers/index.ts';
import { jobs } from './jobs.ts';
import type { Registry } from './registry.ts';
import { collections } from './store/collections.ts';
import { blobReferences } from './store/references.ts';
import { registryStore } from './store/store.ts';
import { subscriptions } from './subscriptions.ts';

/** Builds the registry from its settings and what the process gives it. */
export async function build(config: Config<typeof settings>, deps: Deps): Promise<Parts> {
  const documents = await deps.documents(collections);
  const blobs = await deps.blobs();
  const maxBytes = config.MAX_MODEL_BYTES;
  const registry: Registry = {
    store: registryStore(documents),
    blobs,
    examiner: createExaminer(blobs, { ...defaultLimits, maxBytes, maxInitializerBytes: maxBytes }),
    maxModelBytes: maxBytes,
    ledger: createRequestLedger(documents, deps.now),
    expressions: celExpressions(),
    log: deps.log,
    now: deps.now,
  };
  return {
    implementations: implementations(registry),
    store: documents,
    blobReferences,
    subscriptions: () => subscriptions(registry, deps.bus),
    jobs: jobs(registry, config.VALIDATION_EVERY_MS),
  };
}
