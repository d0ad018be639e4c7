import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { EventLogService } from '@millrace/contracts/common';
import { type Run, TrackingService } from '@millrace/contracts/tracking';
import { openDocuments } from '@millrace/documents';
import { CodedError } from '@millrace/errors';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startService, tempDir } from '@millrace/testing';
import { expect, test } from 'vitest';
import { summarize } from '../src/domain/batch-summary.ts';
import { toColumns } from '../src/domain/columns.ts';
import { createRun } from '../src/domain/run.ts';
import { metricsLogged } from '../src/drafts.ts';
import { settleMetrics } from '../src/jobs.ts';
import { createBatches } from '../src/store/batches.ts';
import {
  batchesSpec,
  collections,
  countersSpec,
  experimentsSpec,
  namesSpec,
} from '../src/store/collections.ts';
import { openTrackingStore } from '../src/store/open.ts';
import { eventsOf } from './tracking.ts';

const main = join(import.meta.dirname, '../src/main.ts');
const point = (step: number) => ({ key: 'm', value: step, step: BigInt(step), timestampMs: step });
const wanted = {
  project: 'p',
  id: 'a'.repeat(32),
  experiment: 0,
  displayName: '',
  status: 'RUNNING' as const,
};

/** The service as a process of its own. NATS is not there: that delays its events only. */
async function start(dataDir: string): Promise<{ readonly process: ChildProcess; readonly address: string }> {
  const env = { ...process.env, DATA_DIR: dataDir, NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'error' };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'ignore', 'ipc'] });
  for await (const line of createInterface({ input: child.stdout! }))
    return { process: child, address: JSON.parse(line).address };
  throw new Error('the service did not become ready');
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('killed in the middle of batches, each batch counts exactly once after its retry', async () => {
  await using folder = tempDir();
  let service = await start(folder.path);
  const connect = () => {
    const transport = grpcTransport({ address: service.address });
    return { transport, client: createClient(TrackingService, transport, { deadlineMs: 5000 }) };
  };
  let { transport, client } = connect();
  const { name } = (await client.createRun({ parent: 'projects/p', run: {}, requestId: 'run' })).run as Run;
  const batches = Array.from({ length: 60 }, (_, i) => ({
    name,
    requestId: `b${i}`,
    metrics: [point(2 * i), point(2 * i + 1)].map((p) => ({ ...p, timestampMs: BigInt(p.timestampMs) })),
    params: [{ key: `p${i}`, value: `${i}` }],
  }));
  for (const round of [0, 1]) {
    const tries = batches.map((batch, i) => (i >= round * 20 ? client.logBatch(batch) : undefined));
    await tries[round * 20 + 2];
    await kill(service.process);
    await Promise.allSettled(tries);
    transport.close();
    service = await start(folder.path);
    ({ transport, client } = connect());
  }
  expect((await client.createRun({ parent: 'projects/p', run: {}, requestId: 'run' })).run?.name).toBe(name);
  for (const batch of batches) await client.logBatch(batch);
  const { points } = await client.getMetricHistory({ name, key: 'm' });
  const steps = points.map((p) => Number(p.step)).sort((a, b) => a - b);
  expect(steps).toEqual(Array.from({ length: 120 }, (_, i) => i));
  const { run } = await client.getRun({ name });
  expect(run?.params).toHaveLength(60);
  expect(run?.metrics).toMatchObject([{ key: 'm', step: 119n }]);
  transport.close();
  const ended = once(service.process, 'exit');
  service.process.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
}, 60_000);

test('a batch that never reached its run is shown by the sweep', async () => {
  await using folder = tempDir();
  let nowMs = 1_000_000;
  const now = () => nowMs;
  const documents = await openDocuments({ url: `sqlite:${join(folder.path, 'd.db')}`, collections, now });
  const store = openTrackingStore(documents, now);
  const run = createRun({ ...wanted, startTimeMs: undefined, tags: [] }, nowMs);
  await store.runs.insert(run, {});
  const points = [point(1), point(2)];
  const id = `p/${run.id}/r:lost`;
  const columns = toColumns(points, nowMs);
  const batch = { ...columns, project: 'p', run: run.id, atMs: nowMs, bodyDigest: '' };
  const emit = [metricsLogged(run, id, columns.count, summarize(columns), nowMs)];
  await documents.collection(batchesSpec).insert(id, batch, { emit });

  const job = settleMetrics(documents, store.batches, now);
  const { signal } = new AbortController();
  await job.run(signal);
  expect((await store.runs.get('p', run.id)).doc.metrics).toEqual([]);
  nowMs += 60_000;
  await job.run(signal);
  await job.run(signal);
  const settled = await store.runs.get('p', run.id);
  expect(settled.doc.metrics).toEqual([points[1]]);
  await job.run(signal);
  expect((await store.runs.get('p', run.id)).version).toBe(settled.version);
  await documents.close();
});

test('a recorded batch is acknowledged although the disk has no room to note it, and noted once it has', async () => {
  await using folder = tempDir();
  const documents = await openDocuments({ url: `sqlite:${join(folder.path, 'd.db')}`, collections });
  const store = openTrackingStore(documents, Date.now);
  const run = createRun({ ...wanted, startTimeMs: undefined, tags: [] }, 0);
  await store.runs.insert(run, {});
  const noteLatest = async () => {
    throw new CodedError('resource_exhausted', 'DISK_FULL', 'no space left');
  };
  const full = createBatches(documents, { ...store.runs, noteLatest }, Date.now);
  const batch = {
    project: 'p',
    run: wanted.id,
    requestId: 'r',
    bodyDigest: 'd',
    points: toColumns([point(1)], 0),
  };
  const nothing = { params: [], tags: [], removedTags: [] };
  expect(await full.log({ ...batch, ...nothing })).toBe(false);
  expect(await full.log({ ...batch, ...nothing })).toBe(true);
  expect((await store.runs.get('p', wanted.id)).doc.metrics).toEqual([]);
  const later = () => Date.now() + 60_000;
  await settleMetrics(documents, store.batches, later).run(AbortSignal.timeout(10_000));
  expect((await store.runs.get('p', wanted.id)).doc.metrics).toEqual([point(1)]);
  await documents.close();
});

test('names claimed by calls that did not finish are given out again', async () => {
  await using folder = tempDir();
  let nowMs = 1_000_000;
  const documents = await openDocuments({ url: `sqlite:${join(folder.path, 'd.db')}`, collections });
  const { experiments } = openTrackingStore(documents, () => nowMs);
  const first = await experiments.create('p', 'first', [], {});
  // A creation that ended between its claim and its experiment.
  await documents.collection(countersSpec).upsert('p', (doc) => ({ doc: { next: (doc?.next ?? 1) + 1 } }));
  await documents.collection(namesSpec).insert('p/half', { number: 2, claimedAtMs: nowMs });
  expect((await experiments.create('p', 'half', [], {})).doc.number).toBe(2);
  // A rename that ended between its claim and the experiment.
  await documents.collection(namesSpec).insert('p/wish', { number: first.doc.number, claimedAtMs: nowMs });
  await expect(experiments.create('p', 'wish', [], {})).rejects.toMatchObject({ kind: 'aborted' });
  nowMs += 61_000;
  expect((await experiments.create('p', 'wish', [], {})).doc.number).toBe(3);
  const stored = await documents.collection(experimentsSpec).count({ project: 'p' });
  expect(stored).toBe(4);
  await documents.close();
});

test('killed before it answers, an upload is recorded once, and what was uploaded since stays', async () => {
  await using service = await startService('tracking', {
    env: { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'error' },
    race: { point: 'service.before-answer', nth: 2, signal: 'kill' },
  });
  const open = () => {
    const transport = grpcTransport({ address: service.address });
    const client = createClient(TrackingService, transport, { deadlineMs: 10_000 });
    const log = createClient(EventLogService, transport, { deadlineMs: 10_000 });
    return { client, log, close: () => transport.close() };
  };
  let at = open();
  const created = await at.client.createRun({ parent: 'projects/p', run: {}, requestId: 'run' });
  const run = created.run?.name ?? '';
  const upload = (text: string, requestId: string) =>
    at.client.uploadArtifact(
      (async function* () {
        yield { part: { case: 'header' as const, value: { run, path: 'f', requestId } } };
        yield { part: { case: 'chunk' as const, value: Buffer.from(text) } };
      })(),
    );
  const cut = upload('first', 'one').catch(() => {});
  await service.reached;
  at.close();
  await service.restart();
  await cut;
  at = open();
  const { artifact } = await upload('second', 'two');
  await upload('first', 'one');
  expect((await at.client.getArtifact({ parent: run, path: 'f' })).artifact).toEqual(artifact);
  expect((await eventsOf(at.log, 'p')).filter((type) => type === 'artifact.logged')).toHaveLength(2);
  at.close();
}, 40_000);
