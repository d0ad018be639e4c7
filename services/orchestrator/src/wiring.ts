import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '@millrace/config';
import { newId } from '@millrace/documents';
import type { Deps, Parts } from '@millrace/service';
import type { settings } from './config.ts';
import { createResultCache } from './engine/cache.ts';
import { createEngine } from './engine/engine.ts';
import { createShards } from './engine/shards.ts';
import { realTimers } from './engine/timers.ts';
import { deadPredecessor } from './executor/predecessor.ts';
import { createProcessExecutor } from './executor/process-executor.ts';
import { createExpressions } from './expressions.ts';
import type { Edge } from './handlers/edge.ts';
import { pipelineHandlers } from './handlers/pipelines.ts';
import { runHandlers } from './handlers/runs.ts';
import { scheduleHandlers } from './handlers/schedules.ts';
import { triggerHandlers } from './handlers/triggers.ts';
import { createJobs } from './jobs.ts';
import { createStartRun } from './start-run.ts';
import { blobReferences } from './store/references.ts';
import { collections, createStore } from './store/store.ts';
import { createTriggerSubscriptions } from './subscriptions.ts';

type OrchestratorConfig = Config<typeof settings>;

/** Puts the orchestrator together. The only place that names adapters. */
export async function build(config: OrchestratorConfig, deps: Deps): Promise<Parts> {
  const { log, now, bus, folder } = deps;
  const documents = await deps.documents(collections);
  const blobs = await deps.blobs();
  const store = createStore(documents, now);
  const expressions = createExpressions();
  const here = createProcessExecutor({
    folder: join(folder, 'executor'),
    blobs,
    orphanGraceMs: config.ORPHAN_GRACE_MS,
    maxLogBytes: config.STEP_LOG_BYTES,
    passEnv: config.STEP_ENV ? config.STEP_ENV.split(',') : [],
  });
  const capacity = {
    cpu: config.STEP_CPU || here.capacity.cpu,
    memoryBytes: config.STEP_MEMORY_BYTES || here.capacity.memoryBytes,
  };
  const executor = { ...here, capacity };
  const owner = newId();
  const predecessor = await deadPredecessor(join(folder, 'executor'), owner);
  const shards = await createShards({
    leases: documents.leases,
    owner,
    ...(predecessor === undefined ? {} : { predecessor }),
    count: config.SHARDS,
    leaseMs: config.LEASE_MS,
  });
  let address = '';
  const engine = createEngine({
    store,
    executor,
    expressions,
    cache: createResultCache(store, now),
    shards,
    log,
    now,
    timers: realTimers,
    random: Math.random,
    host: `${hostname()}:${resolve(folder)}`,
    addresses: () => addressesOf(config, address),
  });
  const startRun = createStartRun(store, engine, now, (err) =>
    log.error({ err }, 'a new run waits for the next scan'),
  );
  const triggers = createTriggerSubscriptions(bus, { store, expressions, startRun, now, log });
  const edge: Edge = { store, engine, executor, blobs, expressions, startRun, now };
  const refresh = () =>
    void triggers.refresh().catch((err: unknown) => log.warn({ err }, 'triggers are refreshed later'));
  return {
    implementations: [
      pipelineHandlers(edge),
      runHandlers(edge),
      scheduleHandlers(edge),
      triggerHandlers(edge, refresh),
    ],
    store: documents,
    blobReferences,
    jobs: createJobs(engine, { store, engine, shards, startRun, now, log }, triggers, blobs, {
      leaseMs: config.LEASE_MS,
      scanMs: config.SCAN_MS,
      blobGraceMs: config.BLOB_GRACE_MS,
    }),
    async started(own) {
      address = own;
      await engine.renew();
      // What an earlier process left goes on at once; nobody's call waits for it.
      void engine.scan().catch((err: unknown) => log.error({ err }, 'runs are taken up at the next scan'));
    },
    draining: () => triggers.stop(),
    close: () => engine.close(),
  };
}

/** Where steps find the services. */
function addressesOf(config: OrchestratorConfig, own: string): Readonly<Record<string, string>> {
  const known = {
    MILLRACE_TRACKING_ADDRESS: config.TRACKING_ADDRESS,
    MILLRACE_REGISTRY_ADDRESS: config.REGISTRY_ADDRESS,
    MILLRACE_FEATURES_ADDRESS: config.FEATURES_ADDRESS,
    MILLRACE_PIPELINES_ADDRESS: own,
    MILLRACE_SERVING_ADDRESS: config.SERVING_ADDRESS,
    MILLRACE_MONITORING_ADDRESS: config.MONITORING_ADDRESS,
    MILLRACE_NATS_URL: config.NATS_URL,
    MILLRACE_AUTH_TOKEN: config.AUTH_TOKEN,
  };
  return Object.fromEntries(
    Object.entries(known).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
