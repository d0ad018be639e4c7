import { RunStatus } from '@millrace/contracts/tracking';
import { connect, type Millrace, startRun } from '@millrace/sdk';
import { startFaultProxy, startSuite, type TestSuite, until } from '@millrace/testing';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';

let suite: TestSuite;
let millrace: Millrace;

beforeAll(async () => {
  suite = await startSuite({ only: ['tracking'] });
  millrace = connect({ endpoints: { services: { tracking: suite.service('tracking').address } } });
});
afterAll(async () => {
  millrace?.close();
  await suite?.stop();
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const historyOf = async (name: string, key: string) =>
  (await millrace.tracking.getMetricHistory({ name, key })).points.map(({ value, step }) => [
    Number(step),
    value,
  ]);
const runOf = async (name: string) => (await millrace.tracking.getRun({ name })).run;

test('what is logged arrives once and in order, artifacts and inputs too', async () => {
  const run = await startRun(millrace, {
    experiment: 'sdk',
    name: 'first',
    params: { rate: 0.1, deep: true },
    tags: { kind: 'test' },
    inputs: [{ name: 'flights', digest: 'sha256:1' }],
  });
  for (let step = 0; step < 2500; step++) run.metrics({ loss: 1 / (step + 1), odd: Number.NaN }, step);
  const bytes = Buffer.alloc(1_300_000, 'a');
  await run.artifact('model/weights.bin', bytes);
  await run.finish();
  const history = await millrace.tracking.getMetricHistory({ name: run.name, key: 'loss', pageSize: 5000 });
  expect(history.points.map((metric) => Number(metric.step))).toEqual(
    Array.from({ length: 2500 }, (_, i) => i),
  );
  const found = await runOf(run.name);
  expect(found).toMatchObject({ displayName: 'first', status: RunStatus.FINISHED });
  expect(found?.params.map(({ key, value }) => [key, value]).sort()).toEqual([
    ['deep', 'true'],
    ['rate', '0.1'],
  ]);
  const { inputs } = await millrace.tracking.listInputs({ parent: run.name });
  expect(inputs.map((input) => input.dataset?.name)).toEqual(['flights']);
  const { entries } = await millrace.tracking.listArtifacts({ parent: run.name, folder: 'model' });
  expect(
    entries.map((entry) => [entry.path, Number(entry.kind.case === 'file' ? entry.kind.value.sizeBytes : 0)]),
  ).toEqual([['model/weights.bin', bytes.length]]);
});

test('a call whose answer is lost is tried again and counted once', async () => {
  const { address } = suite.service('tracking');
  await using proxy = await startFaultProxy(address);
  const shaky = connect({ endpoints: { services: { tracking: proxy.address } } });
  const run = await startRun(shaky, { name: 'shaky' });
  for (let step = 0; step < 20; step++) {
    run.metrics({ loss: step }, step);
    if (step % 5 === 4) proxy.cut();
    await run.flush();
  }
  await run.finish();
  expect(await historyOf(run.name, 'loss')).toEqual(Array.from({ length: 20 }, (_, i) => [i, i]));
  shaky.close();
});

test('the same key goes on with the same run, whatever was logged before it was cut short', async () => {
  const options = { experiment: 'sdk', name: 'again', key: 'step-1', params: { rate: 0.1 } };
  const first = await startRun(millrace, options);
  first.metrics({ loss: 3 }, 0);
  await first.flush();
  const second = await startRun(millrace, options);
  expect(second.name).toBe(first.name);
  second.metrics({ loss: 3 }, 0);
  second.metrics({ loss: 2, more: 1 }, 1);
  await second.finish();
  expect((await historyOf(second.name, 'loss')).at(-1)).toEqual([1, 2]);
  const third = await startRun(millrace, options);
  await third.finish();
  expect((await runOf(third.name))?.status).toBe(RunStatus.FINISHED);
  await Promise.all(['a', 'b'].map(() => startRun(millrace, { experiment: 'made by two' })));
});

test('metrics are sent without a flush after a moment', async () => {
  const run = await startRun(millrace);
  run.metrics({ soon: 1 });
  await until(async () => (await historyOf(run.name, 'soon')).length === 1);
  await run.finish('killed');
  expect((await runOf(run.name))?.status).toBe(RunStatus.KILLED);
});

test('what could not be logged is thrown by flush and finish, and the run is ended all the same', async () => {
  const run = await startRun(millrace, { params: { rate: 1 } });
  run.params({ rate: 2 });
  await expect(run.flush()).rejects.toThrow();
  await expect(run.finish('failed')).rejects.toThrow();
  expect((await runOf(run.name))?.status).toBe(RunStatus.FAILED);
});

test('in a step of a pipeline the run belongs to the task', async () => {
  vi.stubEnv('MILLRACE_PROJECT', 'default');
  vi.stubEnv('MILLRACE_RUN', 'r1');
  vi.stubEnv('MILLRACE_TASK', 'train[0]');
  const run = await startRun(millrace);
  const tags = (await runOf(run.name))?.tags.map(({ key, value }) => [key, value]);
  expect(tags).toContainEqual(['millrace.task', 'projects/default/pipelineRuns/r1/tasks/train%5B0%5D']);
  await run.finish();
});
