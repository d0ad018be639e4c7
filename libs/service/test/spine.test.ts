import { create } from '@bufbuild/protobuf';
import { registryEvents } from '@millrace/contracts';
import { DeleteModelRequestSchema, DeleteModelResponseSchema } from '@millrace/contracts/registry';
import { FinishRunRequestSchema, FinishRunResponseSchema } from '@millrace/contracts/tracking';
import { createRequestLedger, type DocumentStore, newId, openDocuments } from '@millrace/documents';
import { notFound } from '@millrace/errors';
import { draft } from '@millrace/events';
import { type Job, mutate, watchEvents } from '@millrace/service';
import { silentLogger } from '@millrace/telemetry';
import { fakeClock, tempDir, until } from '@millrace/testing';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { healthJob } from '../src/health.ts';
import { startJobs } from '../src/jobs.ts';
import { retentionJobs, trimEvents } from '../src/retention.ts';
import { count, counters } from './spec.ts';

let store: DocumentStore;
let folder: ReturnType<typeof tempDir>;
const signal = new AbortController().signal;

beforeEach(async () => {
  folder = tempDir('millrace-spine-');
  store = await openDocuments({ url: `sqlite:${folder.path}/d.db`, collections: [counters] });
});
afterEach(async () => {
  await store.close();
  await folder.remove();
});

test('a watch sees each fitting event once and in order, whatever is written meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('a', 'b'), { maxLength: 12 }),
      fc.array(fc.constantFrom('a', 'b'), { maxLength: 12 }),
      fc.boolean(),
      async (before, after, filtered) => {
        const start = await store.events.last();
        for (const project of before) await count(store, project);
        const wanted = [...before, ...after].filter((project) => !filtered || project === 'a');
        const seen: { project: string; sequence: number }[] = [];
        const abort = new AbortController();
        const options = { signal: abort.signal, after: start, ...(filtered ? { project: 'a' } : {}) };
        const watching = (async () => {
          for await (const event of watchEvents(store, options)) seen.push(event);
        })();
        for (const project of after) await count(store, project);
        await until(() => seen.length >= wanted.length);
        abort.abort();
        await watching;
        expect(seen.map((event) => event.project)).toEqual(wanted);
        const sequences = seen.map((event) => event.sequence);
        expect(sequences).toEqual([...new Set(sequences)].sort((x, y) => x - y));
      },
    ),
    { numRuns: 20 },
  );
});

test('a watch that filters misses no event where large ones make the pages short', async () => {
  const wanted = await countLarge(10);
  const seen: number[] = [];
  const abort = new AbortController();
  for await (const event of watchEvents(store, { signal: abort.signal, after: 0, project: 'a' })) {
    seen.push(event.sequence);
    if (seen.length === wanted.length) abort.abort();
  }
  expect(seen).toEqual(wanted);
}, 10_000);

test('a watch without a place begins with what happens from now on', async () => {
  await count(store, 'old');
  const abort = new AbortController();
  const first = watchEvents(store, { signal: abort.signal }).next();
  await new Promise((done) => setTimeout(done, 50));
  await count(store, 'new');
  expect((await first).value).toMatchObject({ project: 'new' });
  abort.abort();
});

test('a mutating call runs once for each request id', async () => {
  const ledger = createRequestLedger(store);
  const options = {
    ledger,
    method: 'millrace.tracking.v1.TrackingService/FinishRun',
    project: 'default',
    input: FinishRunRequestSchema,
    output: FinishRunResponseSchema,
  };
  const ids: string[] = [];
  const requestIds: (string | undefined)[] = [];
  const call = (requestId: string, name = 'n') =>
    mutate(options, create(FinishRunRequestSchema, { requestId, name }), async (mutation) => {
      ids.push(mutation.id);
      requestIds.push(mutation.requestId);
      if (ids.length === 1) throw new Error('the first attempt fails');
      return { run: { name: mutation.id } };
    });
  await expect(call('one')).rejects.toThrow('the first attempt fails');
  const answers = await Promise.all([call('one'), call('one')]);
  expect(answers[0]).toEqual(answers[1]);
  expect(ids).toHaveLength(2);
  expect(ids[0]).toBe(ids[1]);
  expect(requestIds[0]).toBe(`${options.method}:one`);
  await expect(call('one', 'other')).rejects.toMatchObject({ code: 'REQUEST_ID_REUSED' });
  await call('');
  await call('');
  expect(new Set(ids).size).toBe(3);
  expect(requestIds.at(-1)).toBeUndefined();
});

test('a deletion that a crash cut short after its removal is answered when it is tried again', async () => {
  const ledger = createRequestLedger(store);
  const docs = store.collection(counters);
  const options = {
    ledger,
    method: 'millrace.registry.v1.RegistryService/DeleteModel',
    project: 'default',
    input: DeleteModelRequestSchema,
    output: DeleteModelResponseSchema,
  };
  let crashes = true;
  const call = (requestId: string) =>
    mutate(options, create(DeleteModelRequestSchema, { requestId, name: 'n' }), async ({ id }) => {
      if (!(await docs.get('a'))) throw notFound('a');
      const resource = 'projects/default/models/a';
      const about = { id, project: 'default', resource, timeMs: 1, data: { model: resource } };
      await docs.remove('a', { emit: [draft(registryEvents.modelDeleted, about)] });
      if (crashes) throw new Error('the process ended here');
      return {};
    });
  await expect(call('early')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await count(store, 'a');
  await expect(call('one')).rejects.toThrow('the process ended here');
  crashes = false;
  // Somebody makes it again before the first caller asks again: that one is not theirs.
  await count(store, 'a');
  expect(await call('one')).toEqual(create(DeleteModelResponseSchema));
  expect(await docs.get('a')).toBeDefined();
  await call('two');
  for (const requestId of ['other', 'early', ''])
    await expect(call(requestId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a job never runs twice at once, goes on after a failure, and stop waits for it', async () => {
  let [running, most, runs] = [0, 0, 0];
  const job: Job = {
    name: 'job',
    everyMs: 1,
    run: async () => {
      most = Math.max(most, ++running);
      await new Promise((done) => setTimeout(done, 5));
      running--;
      if (++runs === 1) throw new Error('the first run fails');
    },
  };
  const jobs = startJobs([job], silentLogger);
  await until(() => runs >= 3);
  await jobs.stop();
  expect([most, running]).toEqual([1, 0]);
});

test('events are forgotten from the oldest on, as far as they are old and published', async () => {
  const day = 24 * 3_600_000;
  const clock = fakeClock();
  for (let age = 9; age >= 0; age--) await count(store, 'a', clock.now() - age * day);
  const kept = async () => (await store.events.read({ after: 0, limit: 100 })).map((event) => event.sequence);
  const run = async (position: number) => {
    const jobs = retentionJobs({ store, relay: { position }, eventDays: 7, now: clock.now });
    for (const job of jobs) await job.run(signal);
  };
  await run(0);
  expect(await kept()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await run(1);
  expect(await kept()).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await run(10);
  expect(await kept()).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  await trimEvents(store.events, Number.POSITIVE_INFINITY, 10, signal);
  expect(await kept()).toEqual([]);
  await count(store, 'a');
  expect(await store.events.last()).toBe(11);
});

test('old events are forgotten all at once also where large ones make the pages short', async () => {
  await countLarge(10);
  await trimEvents(store.events, Number.POSITIVE_INFINITY, 20, signal);
  expect(await store.events.first()).toBe(21);
});

test('a storage that does not answer is told to the health service, and that it is back', async () => {
  const told: boolean[] = [];
  let broken = false;
  const check = async () => {
    if (broken) throw new Error('the disk is gone');
  };
  const job = healthJob({ check }, { setServing: (serving) => void told.push(serving) }, silentLogger);
  for (broken of [false, true, true, false, false]) await job.run(signal);
  expect(told).toEqual([false, true]);
});

/** Records events of nearly 1 MB in project `a`, each followed by a small one in `b`; answers the numbers of the large. */
async function countLarge(times: number): Promise<number[]> {
  const sequences: number[] = [];
  for (let i = 0; i < times; i++) {
    const draft = { id: newId(), type: 'large', project: 'a', resource: 'r', timeMs: 0 };
    const emit = [{ ...draft, data: new Uint8Array(990_000) }];
    await store.collection(counters).upsert('large', () => ({ doc: { project: 'a', count: i }, emit }));
    sequences.push(await store.events.last());
    await count(store, 'b');
  }
  return sequences;
}
