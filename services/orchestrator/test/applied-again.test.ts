import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type BlobStore, openBlobs } from '@millrace/blobs';
import {
  CatchUp,
  Overlap,
  PipelineService,
  ScheduleService,
  TriggerService,
} from '@millrace/contracts/pipelines';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import { registryEvents } from '@millrace/contracts/registry-events';
import { newId, openDocuments } from '@millrace/documents';
import type { AnyEvent } from '@millrace/events';
import { createClient, memoryTransport } from '@millrace/rpc';
import { silentLogger } from '@millrace/telemetry';
import { fakeClock, type TempDir, tempDir } from '@millrace/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createExpressions } from '../src/expressions.ts';
import type { Edge } from '../src/handlers/edge.ts';
import { pipelineHandlers } from '../src/handlers/pipelines.ts';
import { scheduleHandlers } from '../src/handlers/schedules.ts';
import { triggerHandlers } from '../src/handlers/triggers.ts';
import { createJobs } from '../src/jobs.ts';
import { type SchedulesDeps, tickSchedules } from '../src/schedules.ts';
import { createStartRun } from '../src/start-run.ts';
import { collections, createStore } from '../src/store/store.ts';
import { handleEvent } from '../src/triggers.ts';
import { js, quick } from './orchestrator.ts';

const minute = 60_000;
const parent = 'projects/default';
const pipeline = `${parent}/pipelines/p`;
let folder: TempDir;
let it: Awaited<ReturnType<typeof open>>;
beforeEach(async () => {
  folder = tempDir();
  it = await open(folder.path);
  await it.pipelines.applyPipeline({ pipeline: { name: pipeline, spec: { steps: [quick('a')] } } });
});
afterEach(async () => {
  await it.documents.close();
  await folder.remove();
});

/** The handlers and what they work with; nothing happens by itself, and runs that are started stay open. */
async function open(path: string) {
  const clock = fakeClock(Date.UTC(2026, 5, 1, 0, 0, 30));
  const { now } = clock;
  const documents = await openDocuments({ url: `sqlite:${join(path, 'd.db')}`, collections, now });
  const blobs = await openBlobs({ url: `file:${join(path, 'blobs')}` });
  const store = createStore(documents, now);
  const engine = { submit: async () => {} } as unknown as Edge['engine'];
  const startRun = createStartRun(store, engine, now, () => {});
  const expressions = createExpressions();
  const schedules: SchedulesDeps = {
    store,
    engine,
    shards: { owns: () => true },
    startRun,
    now,
    log: silentLogger,
  };
  /** Happens between what a handler decides and what it writes. */
  const before = { apply: async () => {} };
  const between = {
    ...store.schedules,
    upsert: async (...write: Parameters<typeof store.schedules.upsert>) => {
      await before.apply();
      return store.schedules.upsert(...write);
    },
  };
  const edge = { store: { ...store, schedules: between }, engine, blobs, expressions, startRun, now } as Edge;
  const transport = memoryTransport([
    pipelineHandlers(edge),
    scheduleHandlers(edge),
    triggerHandlers(edge, () => {}),
  ]);
  return {
    clock,
    documents,
    blobs,
    store,
    schedules,
    before,
    tick: () => tickSchedules(schedules),
    handle: (event: AnyEvent) => handleEvent({ store, expressions, startRun, now }, event),
    pipelines: createClient(PipelineService, transport, { deadlineMs: 10_000 }),
    triggers: createClient(TriggerService, transport, { deadlineMs: 10_000 }),
    scheduler: createClient(ScheduleService, transport, { deadlineMs: 10_000 }),
    async runs() {
      const { items } = await store.runs.find({ where: { project: 'default' }, limit: 1000 });
      return items.map(({ doc }) => doc);
    },
  };
}

const schedule = (rest: object = {}) =>
  it.scheduler.applySchedule({
    schedule: {
      name: `${parent}/schedules/s`,
      pipeline,
      cron: '* * * * *',
      catchUp: CatchUp.ALL,
      overlap: Overlap.ALLOW,
      ...rest,
    },
  });

test('a schedule that is applied again before its missed times were looked at starts them all', async () => {
  await schedule();
  it.clock.advance(10 * minute);
  await schedule();
  await it.tick();
  expect(await it.runs()).toHaveLength(10);
  it.clock.advance(10 * minute);
  await schedule({ timeZone: 'Europe/Zurich' });
  await it.tick();
  // What passed under another cron or zone is not made up for.
  expect(await it.runs()).toHaveLength(10);
});

test('a time that waits for an earlier run waits on when its schedule is applied again', async () => {
  const rest = { overlap: Overlap.BUFFER_ONE };
  await schedule(rest);
  for (const _ of [1, 2]) {
    it.clock.advance(minute);
    await it.tick();
  }
  await schedule(rest);
  const [first] = await it.runs();
  await it.store.changeRun('default', first!.id, { do: 'finish', outcome: 'cancelled', reason: '' });
  await it.tick();
  expect(await it.runs()).toHaveLength(2);
});

test('a time that is decided while its schedule is being applied again is told once', async () => {
  await schedule();
  it.before.apply = async () => {
    it.clock.advance(minute);
    await it.tick();
  };
  await schedule();
  await it.tick();
  expect(await it.runs()).toHaveLength(1);
  const types = [pipelinesEvents.scheduleFired.type];
  expect(await it.documents.events.read({ after: 0, limit: 100, types })).toHaveLength(1);
});

const moved = (timeMs: number): AnyEvent => ({
  id: newId(),
  sequence: 1,
  project: 'default',
  type: registryEvents.aliasMoved.type,
  resource: `${parent}/models/m/aliases/champion`,
  timeMs,
  data: create(registryEvents.aliasMoved.schema, {}),
  definition: registryEvents.aliasMoved,
  attempt: 1,
});

test.each([
  ['condition', { condition: 'event.resource.contains("/none/")' }],
  ['resource', { resource: `${parent}/models/none` }],
])('an event that did not matter starts nothing when the %s was changed since', async (_, rest) => {
  const trigger = { name: `${parent}/triggers/t`, pipeline, eventType: registryEvents.aliasMoved.type };
  await it.triggers.applyTrigger({ trigger: { ...trigger, ...rest } });
  it.clock.advance(minute);
  const old = moved(it.clock.now());
  await it.handle(old);
  it.clock.advance(minute);
  await it.triggers.applyTrigger({ trigger });
  await it.handle(old);
  expect(await it.runs()).toEqual([]);
  // Applied once more without a change it misses nothing.
  const fresh = moved(it.clock.now());
  it.clock.advance(minute);
  await it.triggers.applyTrigger({ trigger });
  await it.handle(fresh);
  expect(await it.runs()).toHaveLength(1);
});

test('a blob that a pipeline names after the sweep looked for references stays', async () => {
  const graceMs = 24 * 60 * minute;
  const { digest } = await it.blobs.put(Buffer.from('a file'));
  const hex = digest.slice('sha256:'.length);
  const longAgo = new Date(Date.now() - 2 * graceMs);
  await utimes(join(folder.path, 'blobs', hex.slice(0, 2), hex), longAgo, longAgo);
  const blobs: BlobStore = {
    ...it.blobs,
    async sweep(options) {
      const files = [{ path: 'f', digest }];
      const spec = { steps: [js('a', '', { command: { files } })] };
      await it.pipelines.applyPipeline({ pipeline: { name: pipeline, spec } });
      return it.blobs.sweep(options);
    },
  };
  const every = { leaseMs: 1, scanMs: 1, blobGraceMs: graceMs };
  const jobs = createJobs(it.schedules.engine, it.schedules, undefined as never, blobs, every);
  const sweep = jobs.find(({ name }) => name === 'unreferenced blobs')!;
  // The first time is the start, when it does nothing.
  for (const _ of [1, 2]) await sweep.run(new AbortController().signal);
  expect(await it.blobs.stat(digest)).toBeDefined();
});
