import { fromBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { streamOf, subjectOf, trackingEvents } from '@millrace/contracts';
import { MetricsLoggedSchema, type Run, RunFinishedSchema, RunStatus } from '@millrace/contracts/tracking';
import { connectBus } from '@millrace/events';
import { until } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { all, eventsOf, type RunningTracking, startTracking } from './tracking.ts';

let service: RunningTracking;
beforeAll(async () => {
  service = await startTracking();
});
afterAll(() => service.stop());

async function newRun(
  project: string,
  init: { displayName?: string; experiment?: string } = {},
): Promise<Run> {
  const { run } = await service.tracking.createRun({ parent: `projects/${project}`, run: init });
  return run as Run;
}

describe('the life of a run', () => {
  test('create, log, finish, delete, restore; each is recorded as an event', async () => {
    const { tracking, log } = service;
    const run = await newRun('life', { displayName: 'first' });
    expect(run.name).toMatch(/^projects\/life\/runs\/[0-9a-f]{12}7[0-9a-f]{19}$/);
    expect(run).toMatchObject({ experiment: 'projects/life/experiments/0', status: RunStatus.RUNNING });
    const { name } = run;
    await tracking.logBatch({
      name,
      metrics: [
        { key: 'auc', value: 0.9, step: 1n },
        { key: 'loss', value: Number.NaN },
      ],
      params: [{ key: 'lr', value: '0.1' }],
      tags: [{ key: '__proto__', value: 'x' }],
    });
    const ended = await tracking.finishRun({ name, requestId: 'end' });
    expect(ended.run?.status).toBe(RunStatus.FINISHED);
    expect(await tracking.finishRun({ name, requestId: 'end' })).toEqual(ended);
    await expect(tracking.finishRun({ name, status: RunStatus.FAILED })).rejects.toMatchObject({
      kind: 'failed_precondition',
    });
    // The same request id with another method is another request.
    await tracking.deleteRun({ name, requestId: 'end' });
    await expect(tracking.logBatch({ name, metrics: [{ key: 'a', value: 1 }] })).rejects.toMatchObject({
      code: 'RUN_DELETED',
    });
    await tracking.restoreRun({ name });
    const read = await tracking.getRun({ name });
    expect(read.run?.params).toMatchObject([{ key: 'lr', value: '0.1' }]);
    expect(read.run?.metrics).toMatchObject([
      { key: 'auc', value: 0.9, step: 1n },
      { key: 'loss', value: Number.NaN },
    ]);
    expect(await eventsOf(log, 'life')).toEqual([
      'experiment.created',
      'run.created',
      'run.updated',
      'metrics.logged',
      'run.finished',
      'run.deleted',
      'run.restored',
    ]);
    const { events } = await log.listEvents({
      project: 'life',
      types: ['millrace.tracking.run.finished.v1'],
    });
    const finished = fromBinary(RunFinishedSchema, events[0]?.data ?? new Uint8Array());
    expect(finished.run).toMatchObject({ run: name, displayName: 'first', status: RunStatus.FINISHED });
    expect(finished.run?.metrics).toHaveLength(2);
  });

  test('update by mask, with etag and times', async () => {
    const { tracking } = service;
    const { name, etag } = await newRun('masks');
    const paths = ['display_name', 'status', 'end_time', 'tags'];
    const endTime = timestampFromMs(Date.now() + 5000);
    const wanted = {
      name,
      etag,
      displayName: 'n',
      status: RunStatus.KILLED,
      endTime,
      tags: [{ key: 'a', value: 'b' }],
    };
    const { run } = await tracking.updateRun({ run: wanted, updateMask: { paths } });
    expect(run).toMatchObject({ displayName: 'n', status: RunStatus.KILLED, endTime });
    await expect(tracking.updateRun({ run: wanted, updateMask: { paths } })).rejects.toMatchObject({
      code: 'VERSION_CONFLICT',
    });
    const again = { name, status: RunStatus.RUNNING };
    const resumed = await tracking.updateRun({ run: again, updateMask: { paths: ['status'] } });
    expect(resumed.run?.endTime).toBeUndefined();
  });
});

describe('LogBatch', () => {
  test('counts once however often and in parallel it is tried, and is told of once', async () => {
    const { tracking, log } = service;
    const { name } = await newRun('once');
    const batch = (value: number) => ({
      name,
      requestId: 'b1',
      metrics: [
        { key: 'm', value, step: 1n },
        { key: 'm', value: 2, step: 2n },
      ],
      tags: [{ key: 't', value: '1' }],
    });
    await Promise.all(Array.from({ length: 8 }, () => tracking.logBatch(batch(1))));
    expect((await tracking.logBatch(batch(1))).duplicate).toBe(true);
    await expect(tracking.logBatch(batch(9))).rejects.toMatchObject({ code: 'REQUEST_ID_REUSED' });
    await tracking.logBatch({ name, tags: [{ key: 't', value: '2' }] });
    // A late retry does not bring the old tag back.
    await tracking.logBatch(batch(1));
    const { run } = await tracking.getRun({ name });
    expect(run?.tags).toMatchObject([{ key: 't', value: '2' }]);
    const { points } = await tracking.getMetricHistory({ name, key: 'm' });
    expect(points.map((p) => p.value)).toEqual([1, 2]);
    const types = await eventsOf(log, 'once');
    expect(types.filter((type) => type === 'metrics.logged')).toHaveLength(1);
  });

  test('a param logged again with another value refuses the whole batch', async () => {
    const { tracking } = service;
    const { name } = await newRun('params');
    const params = [{ key: 'lr', value: '1' }];
    await tracking.logBatch({ name, params });
    await tracking.logBatch({ name, params });
    const other = { name, params: [{ key: 'lr', value: '2' }], metrics: [{ key: 'm', value: 1 }] };
    await expect(tracking.logBatch(other)).rejects.toMatchObject({
      code: 'PARAM_EXISTS',
      violations: [{ field: 'params[0].value' }],
    });
    expect((await tracking.getMetricHistory({ name, key: 'm' })).points).toEqual([]);
  });

  test('latest is by step, then time, whatever the order of arrival', async () => {
    const { tracking } = service;
    const { name } = await newRun('latest');
    await tracking.logBatch({ name, metrics: [{ key: 'm', value: 5, step: 5n, timestampMs: 10n }] });
    await tracking.logBatch({ name, metrics: [{ key: 'm', value: -Infinity, step: -3n, timestampMs: 99n }] });
    await tracking.logBatch({ name, metrics: [{ key: 'm', value: 6, step: 5n, timestampMs: 11n }] });
    const { metrics } = await tracking.listMetricKeys({ parent: name });
    expect(metrics).toMatchObject([{ key: 'm', latest: { value: 6, step: 5n, timestampMs: 11n } }]);
  });

  test('history in pages and down-sampled; the event is bounded and on the bus', async () => {
    const { tracking, natsUrl, log } = service;
    const { name } = await newRun('history');
    for (let batch = 0; batch < 5; batch++) {
      const metrics = Array.from({ length: 1000 }, (_, i) => ({
        key: `k${i % 200}`,
        value: i,
        step: BigInt(batch * 1000 + i),
      }));
      await tracking.logBatch({ name, metrics, requestId: `b${batch}` });
    }
    const steps: bigint[] = [];
    let pageToken = '';
    do {
      const page = await tracking.getMetricHistory({ name, key: 'k7', pageSize: 7, pageToken });
      steps.push(...page.points.map((p) => p.step));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(steps).toEqual(Array.from({ length: 25 }, (_, i) => BigInt(i * 200 + 7)));
    const thin = await tracking.getMetricHistory({ name, key: 'k7', maxPoints: 10 });
    expect(thin).toMatchObject({ totalPoints: 25n, points: { length: 10 } });
    const keys = await tracking.listMetricKeys({ parent: name, prefix: 'k19', pageSize: 1000 });
    expect(keys.metrics).toHaveLength(11);

    const { events } = await log.listEvents({
      project: 'history',
      types: ['millrace.tracking.metrics.logged.v1'],
    });
    const told = fromBinary(MetricsLoggedSchema, events[4]?.data ?? new Uint8Array());
    expect(told).toMatchObject({ pointCount: 1000, keyCount: 200, minStep: 4000n, maxStep: 4999n });
    expect(told.latest).toHaveLength(100);

    const bus = await connectBus({ url: natsUrl, name: 'test' });
    const { name: stream } = streamOf('tracking');
    const subject = subjectOf(trackingEvents.metricsLogged, 'history');
    const streams = (await bus.manager()).streams;
    await until(async () => {
      const { state } = await streams.info(stream, { subjects_filter: subject });
      return state.subjects?.[subject] === 5;
    });
    await bus.close();
  });

  test('watching a run and its metrics', async () => {
    const { tracking } = service;
    const { name } = await newRun('watch');
    const watchRun = tracking.watchRun({ name });
    const watchMetrics = tracking.watchMetrics({ name, keys: ['a'] });
    const points = (async () => {
      for await (const { points } of watchMetrics) return points;
      return [];
    })();
    const values: (number | undefined)[] = [];
    for await (const { run } of watchRun) {
      values.push(run?.metrics[0]?.value);
      if (values.length === 1)
        await tracking.logBatch({
          name,
          metrics: [
            { key: 'a', value: 7 },
            { key: 'b', value: 8 },
          ],
        });
      else break;
    }
    expect(values).toEqual([undefined, 7]);
    // The metrics watch may have begun after the first batch.
    const again = setInterval(() => void tracking.logBatch({ name, metrics: [{ key: 'a', value: 7 }] }), 100);
    expect(await points).toMatchObject([{ key: 'a', value: 7 }]);
    clearInterval(again);
  });
});

describe('SearchRuns', () => {
  test('filters, orders and pages', async () => {
    const { tracking } = service;
    const parent = 'projects/search';
    const { experiment } = await tracking.createExperiment({ parent, experiment: { displayName: 'e' } });
    const names: string[] = [];
    const values = [0.5, 0.9, Number.NaN, undefined, 0.7, Infinity];
    for (const [i, value] of values.entries()) {
      const run = await newRun('search', {
        displayName: `r${i}`,
        ...(i < 4 && experiment ? { experiment: experiment.name } : {}),
      });
      names.push(run.name);
      await tracking.logBatch({
        name: run.name,
        ...(value === undefined ? {} : { metrics: [{ key: 'auc', value }] }),
        params: [{ key: 'kind', value: i % 2 ? 'gbt' : 'linear' }],
      });
    }
    const search = async (filter: string, orderBy = '', experiments: string[] = []) => {
      const found: string[] = [];
      let pageToken = '';
      do {
        const page = await tracking.searchRuns({
          parent,
          filter,
          orderBy,
          experiments,
          pageSize: 2,
          pageToken,
        });
        found.push(...page.runs.map((run) => run.displayName));
        pageToken = page.nextPageToken;
      } while (pageToken);
      return found.join(' ');
    };
    expect(await search('')).toBe('r5 r4 r3 r2 r1 r0');
    expect(await search('', 'metrics.auc DESC')).toBe('r5 r1 r4 r0 r2 r3');
    expect(await search('', 'metrics.auc')).toBe('r0 r4 r1 r5 r2 r3');
    expect(await search('', 'params.kind, metrics.auc DESC')).toBe('r5 r1 r3 r4 r0 r2');
    expect(await search("metrics.auc > 0.6 AND params.kind = 'gbt'")).toBe('r5 r1');
    expect(await search('metrics.auc = nan OR metrics.auc IS NULL')).toBe('r3 r2');
    expect(await search("run_name IN ('r1', 'r4')")).toBe('r4 r1');
    expect(await search('', '', [experiment?.name ?? ''])).toBe('r3 r2 r1 r0');
    expect(await search('', '', [experiment?.name ?? '', `${parent}/experiments/0`])).toBe(
      'r5 r4 r3 r2 r1 r0',
    );
    expect(await search("experiment = '0'", 'run_id')).toBe('r4 r5');
    await tracking.deleteRun({ name: names[0] ?? '' });
    expect(await search('')).toBe('r5 r4 r3 r2 r1');

    const { nextPageToken } = await tracking.searchRuns({ parent, pageSize: 1 });
    const foreign = tracking.searchRuns({
      parent,
      pageSize: 1,
      filter: 'metrics.a > 1',
      pageToken: nextPageToken,
    });
    await expect(foreign).rejects.toMatchObject({ violations: [{ field: 'page_token' }] });
  });
});

test('large runs come in pages that clients can take, and their events stay small', async () => {
  const { tracking, log } = service;
  const parent = 'projects/large';
  for (let i = 0; i < 3; i++) {
    const { name } = await newRun('large', { displayName: `r${i}` });
    const params = Array.from({ length: 90 }, (_, p) => ({ key: `p${p}`, value: 'ü'.repeat(8000) }));
    await tracking.logBatch({ name, params });
  }
  const pages: string[] = [];
  let pageToken = '';
  do {
    const page = await tracking.searchRuns({ parent, orderBy: 'run_name', pageToken });
    pages.push(page.runs.map((run) => run.displayName).join());
    pageToken = page.nextPageToken;
  } while (pageToken);
  expect(pages).toEqual(['r0', 'r1', 'r2']);
  const { events } = await log.listEvents({ project: 'large', types: ['millrace.tracking.run.updated.v1'] });
  for (const { data } of events) expect(data.length).toBeLessThan(100_000);
});

test('dataset inputs are recorded once, listed in order, and told', async () => {
  const { tracking, log } = service;
  const { name } = await newRun('inputs');
  const input = (digest: string, context: string) => ({
    dataset: { name: 'flights', digest, sourceType: 'training_set', source: 's', schema: '{"a":"int"}' },
    tags: [{ key: 'context', value: context }],
  });
  await tracking.logInputs({ name, inputs: [input('d1', 'training'), input('d2', 'eval')], requestId: 'r' });
  await tracking.logInputs({ name, inputs: [input('d1', 'training'), input('d2', 'eval')], requestId: 'r' });
  await tracking.logInputs({ name, inputs: [input('d1', 'test')] });
  const first = await tracking.listInputs({ parent: name, pageSize: 1 });
  const second = await tracking.listInputs({ parent: name, pageSize: 1, pageToken: first.nextPageToken });
  expect(first.inputs).toMatchObject([
    { dataset: { digest: 'd1', schema: '{"a":"int"}' }, tags: [{ value: 'test' }] },
  ]);
  expect(second).toMatchObject({ inputs: [{ dataset: { digest: 'd2' } }], nextPageToken: '' });
  const types = await eventsOf(log, 'inputs');
  expect(types.filter((type) => type === 'dataset_input.logged')).toHaveLength(3);
});

test('what is in one project is not seen from another', async () => {
  const { tracking } = service;
  const { name } = await newRun('mine');
  const stolen = name.replace('/mine/', '/yours/');
  await expect(tracking.getRun({ name: stolen })).rejects.toMatchObject({ kind: 'not_found' });
  await expect(tracking.logBatch({ name: stolen })).rejects.toMatchObject({ kind: 'not_found' });
  await expect(all(tracking.watchRun({ name: stolen }))).rejects.toMatchObject({ kind: 'not_found' });
});
