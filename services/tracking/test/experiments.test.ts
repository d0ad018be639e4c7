import { LifecycleState, LifecycleView } from '@millrace/contracts/tracking';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventsOf, type RunningTracking, startTracking } from './tracking.ts';

let service: RunningTracking;
beforeAll(async () => {
  service = await startTracking();
});
afterAll(() => service.stop());

test('every project has experiment 0 from the start, and reading writes nothing', async () => {
  const { tracking, log } = service;
  const parent = 'projects/fresh';
  const { experiment } = await tracking.getExperiment({ name: `${parent}/experiments/0` });
  expect(experiment).toMatchObject({ displayName: 'Default', state: LifecycleState.ACTIVE, etag: '' });
  const { experiments } = await tracking.listExperiments({ parent });
  expect(experiments.map((e) => e.name)).toEqual([`${parent}/experiments/0`]);
  const named = await tracking.listExperiments({ parent, displayName: 'Default' });
  expect(named.experiments).toHaveLength(1);
  expect(await eventsOf(log, 'fresh')).toEqual([]);
  await expect(tracking.deleteExperiment({ name: `${parent}/experiments/0` })).rejects.toMatchObject({
    kind: 'failed_precondition',
  });
});

test('create, rename, delete, restore; names stay unique', async () => {
  const { tracking, log } = service;
  const parent = 'projects/names';
  const create = (displayName: string, requestId = '') =>
    tracking.createExperiment({ parent, experiment: { displayName }, requestId });
  const { experiment } = await create('Flight delays / 2001', 'one');
  expect(experiment?.name).toBe(`${parent}/experiments/1`);
  expect((await create('Flight delays / 2001', 'one')).experiment).toEqual(experiment);
  await expect(create('other', 'one')).rejects.toMatchObject({ code: 'REQUEST_ID_REUSED' });
  await expect(create('Flight delays / 2001')).rejects.toMatchObject({ kind: 'already_exists' });
  await expect(create('Default')).rejects.toMatchObject({ kind: 'already_exists' });

  const name = experiment?.name ?? '';
  const rename = (displayName: string, etag = '') =>
    tracking.updateExperiment({
      experiment: { name, displayName, etag },
      updateMask: { paths: ['display_name'] },
    });
  await expect(rename('Default')).rejects.toMatchObject({ kind: 'already_exists' });
  await expect(rename('b', '77')).rejects.toMatchObject({ code: 'VERSION_CONFLICT' });
  expect((await rename('b', experiment?.etag)).experiment?.displayName).toBe('b');
  expect((await create('Flight delays / 2001')).experiment?.name).toMatch(/experiments\/\d+$/);

  await tracking.deleteExperiment({ name });
  await expect(create('b')).rejects.toMatchObject({ kind: 'already_exists' });
  await expect(rename('c')).rejects.toMatchObject({ code: 'EXPERIMENT_DELETED' });
  await expect(tracking.createRun({ parent, run: { experiment: name } })).rejects.toMatchObject({
    code: 'EXPERIMENT_DELETED',
  });
  const deleted = await tracking.listExperiments({ parent, view: LifecycleView.DELETED_ONLY });
  expect(deleted.experiments.map((e) => e.name)).toEqual([name]);
  expect((await tracking.restoreExperiment({ name })).experiment?.state).toBe(LifecycleState.ACTIVE);

  const pages: string[] = [];
  let pageToken = '';
  do {
    const page = await tracking.listExperiments({ parent, pageSize: 2, pageToken });
    pages.push(...page.experiments.map((e) => e.displayName));
    pageToken = page.nextPageToken;
  } while (pageToken);
  expect(pages).toEqual(['Default', 'b', 'Flight delays / 2001']);
  expect(await eventsOf(log, 'names')).toEqual([
    'experiment.created',
    'experiment.created',
    'experiment.updated',
    'experiment.created',
    'experiment.deleted',
    'experiment.restored',
  ]);
});

test('experiment 0 can be renamed; its old name is free then', async () => {
  const { tracking } = service;
  const parent = 'projects/renamed';
  const experiment = { name: `${parent}/experiments/0`, displayName: 'Main' };
  await tracking.updateExperiment({ experiment, updateMask: { paths: ['display_name'] } });
  const made = await tracking.createExperiment({ parent, experiment: { displayName: 'Default' } });
  expect(made.experiment?.name).toBe(`${parent}/experiments/1`);
  const { experiments } = await tracking.listExperiments({ parent });
  expect(experiments.map((e) => e.displayName)).toEqual(['Main', 'Default']);
});

test('many at once: each name is given once, each number once', async () => {
  const { tracking } = service;
  const parent = 'projects/crowd';
  const tries = Array.from({ length: 60 }, (_, i) =>
    tracking.createExperiment({ parent, experiment: { displayName: `e${i % 20}` } }),
  );
  const settled = await Promise.allSettled(tries);
  expect(settled.filter((s) => s.status === 'fulfilled')).toHaveLength(20);
  const { experiments } = await tracking.listExperiments({ parent });
  expect(new Set(experiments.map((e) => e.displayName)).size).toBe(21);
  expect(new Set(experiments.map((e) => e.name)).size).toBe(21);
});
