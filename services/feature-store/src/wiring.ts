import { mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '@millrace/config';
import type { Deps, Parts } from '@millrace/service';
import type { settings } from './config.ts';
import { hourUs } from './domain/time.ts';
import { createProcesses } from './duckdb/processes.ts';
import { featureStore } from './handlers/index.ts';
import { createJobs } from './jobs/index.ts';
import { createKeyCache } from './online/key-cache.ts';
import { createPushes } from './online/pushes.ts';
import { createOnlineWriter } from './online/write.ts';
import { createSources } from './sources.ts';
import { collections } from './store/collections.ts';
import { blobReferences } from './store/references.ts';
import { createStore } from './store/store.ts';

/** Puts the service together. */
export async function build(config: Config<typeof settings>, deps: Deps): Promise<Parts> {
  const { log } = deps;
  const now = () => deps.now();
  const store = createStore(await deps.documents(collections), now);
  const blobs = await deps.blobs();
  const workDir = join(deps.folder, 'work');
  // What a killed process left behind.
  await rm(workDir, { recursive: true, force: true });
  await mkdir(workDir, { recursive: true });
  const processes = createProcesses();
  const engine = {
    workDir: await realpath(workDir),
    memoryMb: config.DUCKDB_MEMORY_MB,
    diskMb: config.DUCKDB_DISK_MB,
    threads: config.DUCKDB_THREADS,
    processes,
  };
  const roots = config.SOURCE_ROOTS.split(',')
    .map((root) => root.trim())
    .filter((root) => root !== '');
  const sources = createSources(store, blobs, { roots, engine });
  const { foreignWrites } = store.documents;
  const cacheOptions = {
    maxKeys: config.ONLINE_CACHE_KEYS,
    maxAgeMs: config.ONLINE_CACHE_MS,
    foreignWrites,
    now,
  };
  const cache = createKeyCache(store.online, cacheOptions);
  const horizonUs = config.ONLINE_HORIZON_HOURS * hourUs;
  const writer = createOnlineWriter(store, cache, horizonUs, now);
  const pushes = createPushes(store, blobs, writer, now);
  const { finished, failures } = await pushes.recover({ atStart: true });
  for (const err of failures) log.error({ err }, 'a push that was cut short cannot be finished');
  if (finished > 0) log.info({ pushes: finished }, 'finished pushes that a crash had interrupted');
  const parts = { store, blobs, sources, pushes, writer, cache, horizonUs, now };
  const jobSettings = {
    leaseMs: config.JOB_LEASE_MS,
    timeoutMs: config.JOB_TIMEOUT_S * 1000,
    maxCrashes: config.JOB_MAX_CRASHES,
    concurrency: config.JOB_CONCURRENCY,
  };
  return {
    implementations: [featureStore({ ...parts, maxUploadBytes: config.MAX_UPLOAD_MB * 1024 * 1024 })],
    store: store.documents,
    blobReferences,
    jobs: createJobs(parts, jobSettings, log),
    close: () => processes.close(),
  };
}
