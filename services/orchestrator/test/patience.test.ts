import { newId, openDocuments } from '@millrace/documents';
import { CodedError, unavailable } from '@millrace/errors';
import { silentLogger } from '@millrace/telemetry';
import { until } from '@millrace/testing';
import { expect, test } from 'vitest';
import { isTerminalRun } from '../src/domain/run.ts';
import type { Step } from '../src/domain/spec.ts';
import { createResultCache } from '../src/engine/cache.ts';
import { createEngine } from '../src/engine/engine.ts';
import { createShards } from '../src/engine/shards.ts';
import { realTimers } from '../src/engine/timers.ts';
import type { Executor, Exit } from '../src/executor/executor.ts';
import { createExpressions } from '../src/expressions.ts';
import { createStartRun } from '../src/start-run.ts';
import { collections, createStore } from '../src/store/store.ts';
import { spec, step } from './specs.ts';

const faster = 50;
const full = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
const gone = () => Object.assign(new Error('no such file or directory'), { code: 'ENOENT' });

/** A run of one step that ends as `exit` tells; collecting its outputs fails as long as `trouble` gives an error. */
async function runOnce(trouble: (tries: number) => Error | undefined, exit: Exit, only: Partial<Step> = {}) {
  const documents = await openDocuments({ url: 'sqlite::memory:', collections });
  const store = createStore(documents, Date.now);
  const counts = { starts: 0, tries: 0 };
  let tell: (id: string, exit: Exit) => void = () => {};
  const keep = <T>(kept: T) => {
    counts.tries += 1;
    const error = trouble(counts.tries);
    return error ? Promise.reject(error) : Promise.resolve(kept);
  };
  const executor: Executor = {
    capacity: { cpu: 1, memoryBytes: 1 << 30 },
    async start({ id }) {
      counts.starts += 1;
      setImmediate(() => tell(id, exit));
    },
    onExit: (listener) => {
      tell = listener;
    },
    recall: async () => ({ kind: 'running' }),
    stop: async () => {},
    collect: async () => ({ outputs: [] }),
    keepLogs: () => keep({ stdout: '', stderr: '' }),
    readLog: async () => new Uint8Array(),
    discard: async () => {},
    sweep: async () => {},
    close: async () => {},
  };
  const shards = await createShards({
    leases: documents.leases,
    owner: newId(),
    count: 1,
    leaseMs: 60_000,
  });
  const engine = createEngine({
    store,
    executor,
    expressions: createExpressions(),
    cache: createResultCache(store, Date.now),
    shards,
    log: silentLogger,
    now: Date.now,
    timers: { ...realTimers, after: (ms, act) => realTimers.after(ms / faster, act) },
    random: () => 0.5,
    host: 'here',
    addresses: () => ({}),
  });
  await engine.renew();
  const wanted = { project: 'default', name: 'p', description: '', specDigest: '' };
  await store.applyPipeline({ ...wanted, spec: spec([step('a', ['true'], only)]) });
  const startRun = createStartRun(store, engine, Date.now, () => {});
  const { run } = await startRun({
    project: 'default',
    id: newId(),
    pipeline: 'p',
    version: 0,
    parameters: [],
    tags: [],
    noCache: false,
    origin: { kind: 'request' },
  });
  return {
    counts,
    async cancel() {
      const stop = { do: 'stop', to: 'cancelled', reason: 'enough', force: false } as const;
      await engine.submit((await store.changeRun('default', run.doc.id, stop))!.doc);
    },
    /** The states of the run, its task and the task's attempts, once the run is over. */
    async states() {
      const ended = await until(async () => {
        const found = await store.runs.get(run.id);
        return found && isTerminalRun(found.doc.state) && found.doc.state;
      });
      const [task] = await store.allTasks('default', run.doc.id);
      return [ended, task?.state, ...(task?.attempts ?? []).map(({ state }) => state)];
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      await documents.close();
    },
  };
}

const done: Exit = { kind: 'exited', code: 0 };

test.each([
  ['away', () => unavailable('the object store')],
  ['full', full],
])('a step that is done waits for an object store that is %s, and is not done again', async (_, trouble) => {
  await using one = await runOnce((tries) => (tries <= 12 ? trouble() : undefined), done);
  expect(await one.states()).toEqual(['succeeded', 'succeeded', 'succeeded']);
  expect(one.counts.starts).toBe(1);
});

test('a step that failed by itself has not timed out because its end was recorded late', async () => {
  const failed: Exit = { kind: 'exited', code: 1 };
  const trouble = (tries: number) => (tries <= 15 ? full() : undefined);
  await using one = await runOnce(trouble, failed, { timeoutMs: 1200 });
  expect(await one.states()).toEqual(['failed', 'failed', 'failed']);
});

test('a run whose step waits for the object store can be cancelled', async () => {
  await using one = await runOnce(full, done);
  await until(() => one.counts.tries > 6);
  await one.cancel();
  expect(await one.states()).toEqual(['cancelled', 'cancelled', 'lost']);
  expect(one.counts.starts).toBe(1);
});

test('an end that is too large for its event is given up, and says so', async () => {
  const large = () => new CodedError('resource_exhausted', 'EVENT_TOO_LARGE', 'the event is too large');
  await using one = await runOnce((tries) => (tries <= 5 ? large() : undefined), done);
  expect(await one.states()).toEqual(['succeeded', 'succeeded', 'lost', 'succeeded']);
});

test('what an attempt left and cannot be read for good means that it is lost', async () => {
  await using one = await runOnce((tries) => (tries <= 5 ? gone() : undefined), done);
  expect(await one.states()).toEqual(['succeeded', 'succeeded', 'lost', 'succeeded']);
});
