import { availableParallelism } from 'node:os';
import type { Config } from '@millrace/config';
import { FeatureStoreService } from '@millrace/contracts/features';
import { RegistryService } from '@millrace/contracts/registry';
import { createRequestLedger, newId } from '@millrace/documents';
import type { Deps, Parts } from '@millrace/service';
import { maxMessageBytes, type settings } from './config.ts';
import { createEngine } from './engine/engine.ts';
import { observeEngine } from './engine/metrics.ts';
import { deploymentHandlers } from './handlers/deployments.ts';
import { inferenceHandlers } from './handlers/inference.ts';
import { servingJobs } from './jobs.ts';
import { createFeatureReader } from './serve/features.ts';
import { createInfer } from './serve/infer.ts';
import { createInferenceLog } from './serve/inference-log.ts';
import { createRoutes } from './serve/live.ts';
import { createModelSource } from './serve/model-source.ts';
import { createReconciler } from './serve/reconciler.ts';
import { createRepeats } from './serve/repeats.ts';
import { collections, createServingStore } from './store.ts';
import { subscribeServing } from './subscriptions.ts';

/** Puts the service together. */
export async function build(config: Config<typeof settings>, deps: Deps): Promise<Parts> {
  const { log, now, bus } = deps;
  const documents = await deps.documents(collections);
  const store = createServingStore(documents, now, newId());
  const workers = config.WORKERS || availableParallelism();
  const engine = createEngine({
    workers,
    arena: config.MODEL_ARENA,
    heapMb: config.WORKER_HEAP_MB,
    runTimeoutMs: config.RUN_TIMEOUT_MS,
    loadTimeoutMs: config.LOAD_TIMEOUT_MS,
    memoryBudgetBytes: config.MEMORY_BUDGET_BYTES,
    maxMessageBytes,
    maxModels: config.MAX_LOADED_MODELS || Number.POSITIVE_INFINITY,
    now,
    log,
  });
  const unobserve = observeEngine(engine.stats);
  const source = await createModelSource({
    registry: deps.client(RegistryService, 'registry'),
    folder: deps.folder,
    maxModelBytes: config.MAX_MODEL_BYTES,
    maxCacheBytes: config.MODEL_CACHE_BYTES,
    fetchTimeoutMs: config.LOAD_TIMEOUT_MS,
    now,
  });
  const routes = createRoutes();
  const reconciler = createReconciler({ store, source, engine, routes, workers, now, log });
  await reconciler.start();
  const inferenceLog = createInferenceLog({
    write: store.log,
    flushMs: config.LOG_FLUSH_MS,
    maxBufferedBytes: config.LOG_BUFFER_BYTES,
    log,
  });
  const infer = createInfer({
    routes,
    discover: reconciler.discover,
    features: createFeatureReader(deps.client(FeatureStoreService, 'features'), config.FEATURES_TIMEOUT_MS),
    log: inferenceLog,
    repeats: await createRepeats(documents.events),
    maxRequestBytes: config.MAX_REQUEST_BYTES,
    maxPendingBytes: config.MAX_PENDING_BYTES,
    now,
    newId,
    logger: log,
  });
  let serving = true;
  const ledger = createRequestLedger(documents, now);
  return {
    store: documents,
    implementations: [
      inferenceHandlers({
        infer,
        routes,
        store,
        reconciler,
        ready: () => serving && engine.stuck < workers,
        now,
      }),
      deploymentHandlers({ store, documents, ledger, reconciler, routes, now }),
    ],
    subscriptions: () => subscribeServing({ bus, store, reconciler, now, log }),
    jobs: servingJobs({ reconciler, source, routes }, config.REGISTRY_POLL_MS),
    draining: async () => {
      serving = false;
    },
    close: async () => {
      // Requests have ended; what they left is written before the store closes.
      await inferenceLog.close();
      await reconciler.close();
      unobserve();
      await engine.close();
      await source.close();
    },
  };
}
