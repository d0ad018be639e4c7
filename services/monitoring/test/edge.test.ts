import { durationFromMs, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { ColumnType } from '@millrace/contracts/common';
import { FeatureStoreService } from '@millrace/contracts/features';
import { AlertState, Comparison, ReportState, Task } from '@millrace/contracts/monitoring';
import { CodedError } from '@millrace/errors';
import { type Bus, connectBus, ensureStream } from '@millrace/events';
import { createServer, type Handlers, implement, type RpcServer } from '@millrace/rpc';
import { startNats, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  deploymentNamed,
  hour,
  hourly,
  infer,
  type Monitoring,
  monitorNamed,
  parent,
  start,
  startMonitoring,
} from './fixture.ts';

let nats: TestNats;
let bus: Bus;
let features: RpcServer;
let service: Awaited<ReturnType<typeof startMonitoring>>;
let client: Monitoring;
const folder = tempDir('millrace-monitoring-');
const trainingSet = `${parent}/trainingSets/may`;

beforeAll(async () => {
  nats = await startNats();
  // Only what monitoring asks for: two pages of a training set.
  const readTrainingSet: Handlers<typeof FeatureStoreService>['readTrainingSet'] = async function* ({
    name,
  }) {
    if (name !== trainingSet) throw new CodedError('not_found', 'NOT_FOUND', `${name} does not exist`);
    for (const doubles of [[1, 2], [3]])
      yield {
        rows: { rowCount: doubles.length, columns: [{ name: 'x', type: ColumnType.DOUBLE, doubles }] },
      };
  };
  const others = FeatureStoreService.methods.map((method) => [
    method.localName,
    () => Promise.reject(new Error()),
  ]);
  const handlers = { ...Object.fromEntries(others), readTrainingSet } as Handlers<typeof FeatureStoreService>;
  features = await createServer({ implementations: [implement(FeatureStoreService, handlers)] });
  service = await startMonitoring({
    NATS_URL: nats.url,
    DATA_DIR: folder.path,
    FEATURES_ADDRESS: features.address,
  });
  client = service.client;
  bus = await connectBus({ url: nats.url, name: 'test' });
  await ensureStream(bus, 'serving');
});

afterAll(async () => {
  await bus?.close();
  await service?.stop();
  await features?.stop();
  await nats?.stop();
  await folder.remove();
});

const reportsOf = async (monitor: string) =>
  (await client.listReports({ parent: monitorNamed(monitor) })).reports.reverse();
const untilReports = (monitor: string, count: number) =>
  until(
    async () => {
      const reports = await reportsOf(monitor);
      return reports.length >= count ? reports : undefined;
    },
    { what: `${count} reports of ${monitor}` },
  );

test('a baseline is made of a training set page by page, once for each name', async () => {
  const name = `${parent}/baselines/may`;
  const request = { parent, name, rows: { case: 'trainingSet', value: trainingSet } as const };
  const { baseline } = await client.createBaseline({ ...request, requestId: 'make-it' });
  expect(baseline).toMatchObject({ name, source: trainingSet, rowCount: 3n });
  expect(baseline?.columns[0]).toMatchObject({ column: 'x', min: 1, max: 3, mean: 2 });
  expect((await client.createBaseline({ ...request, requestId: 'make-it' })).baseline).toEqual(baseline);
  for (const requestId of ['', 'make-it-anew'])
    await expect(client.createBaseline({ ...request, requestId })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
  const missing = { case: 'trainingSet', value: `${parent}/trainingSets/none` } as const;
  await expect(client.createBaseline({ parent, rows: missing })).rejects.toMatchObject({ kind: 'not_found' });
});

test('a wide baseline fits in its document, with smaller samples', async () => {
  const doubles = Array.from({ length: 8000 }, (_, i) => i);
  const columns = Array.from({ length: 250 }, (_, i) => ({
    name: `x${i}`,
    type: ColumnType.DOUBLE,
    doubles,
  }));
  const request = { parent, rows: { case: 'batch', value: { rowCount: 8000, columns } } as const };
  const { baseline } = await client.createBaseline(request, { deadlineMs: 30_000 });
  expect(baseline?.columns).toHaveLength(250);
});

test('an etag stands for the spec: traffic does not change it, another apply does', async () => {
  const spec = hourly('etag', 'etag');
  const made = (await client.applyMonitor({ monitor: spec })).monitor;
  await infer(bus, 'etag', 'etag-1', [start, start + 2 * hour]);
  await untilReports('etag', 1);
  const { monitor } = await client.getMonitor({ name: spec.name });
  expect(monitor?.etag).toBe(made?.etag);
  expect(monitor?.updateTime).toEqual(made?.updateTime);
  expect(timestampMs(monitor!.watermark!)).toBe(start + 2 * hour);
  const etag = made?.etag ?? '';
  const apply = (description: string) => client.applyMonitor({ monitor: { ...spec, etag, description } });
  const outcomes = await Promise.allSettled(['one', 'other'].map(apply));
  expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
  await expect(apply('late')).rejects.toMatchObject({ code: 'VERSION_CONFLICT' });
  await expect(client.deleteMonitor({ name: spec.name, etag })).rejects.toMatchObject({
    code: 'VERSION_CONFLICT',
  });
  await expect(client.applyMonitor({ monitor: { ...hourly('fresh', 'etag'), etag } })).rejects.toMatchObject({
    code: 'VERSION_CONFLICT',
  });
});

test('names of any characters and of full length work, and a watch sees its own reports only', async () => {
  const odd = `läte/%2F a.b:${'日'.repeat(240)}`;
  await client.applyMonitor({ monitor: hourly(odd, 'odd') });
  await client.applyMonitor({ monitor: hourly('odd', 'odd') });
  const abort = new AbortController();
  const watch = client.watchReports(
    { parent: monitorNamed(odd) },
    { signal: abort.signal, deadlineMs: 20_000 },
  );
  const first = watch[Symbol.asyncIterator]().next();
  await new Promise((done) => setTimeout(done, 200));
  // Event times to the microsecond, and before 1970.
  await infer(bus, 'odd', 'odd-1', [-5 * hour - 0.25, -5 * hour + 0.125, 0.001]);
  const reports = await untilReports(odd, 2);
  expect(reports.map((report) => timestampMs(report.windowStart!) / hour)).toEqual([-6, -5]);
  expect((await first).value?.report?.name).toBe(reports[0]?.name);
  abort.abort();
  const { report } = await client.getReport({ name: reports[0]?.name ?? '' });
  expect(report).toEqual(reports[0]);
  const { monitor } = await client.getMonitor({ name: monitorNamed(odd) });
  expect(timestampMs(monitor!.watermark!)).toBe(0);
  await client.deleteMonitor({ name: monitorNamed(odd) });
  expect(await reportsOf(odd)).toHaveLength(2);
  await expect(client.getMonitor({ name: monitorNamed(odd) })).rejects.toMatchObject({ kind: 'not_found' });
});

test('a monitor that is made again reports the same windows anew, and raises its own alarms', async () => {
  const rule = { id: 'rows', metric: 'quality.rows', comparison: Comparison.GREATER_OR_EQUAL, threshold: 2 };
  const monitor = { ...hourly('again', 'again'), alertRules: [rule] };
  const name = monitorNamed('again');
  const alertsOf = async () => (await client.listAlerts({ parent: name })).alerts;
  const at = start / 1000;
  for (const [made, rows] of [2, 3, 4].entries()) {
    await client.applyMonitor({ monitor });
    const times = Array.from({ length: rows }, (_, i) => start + i);
    await infer(bus, 'again', `again-${made}`, [...times, start + hour]);
    await untilReports('again', made + 1);
    await until(async () => (await alertsOf()).length === made + 1, { what: 'its own alarm' });
    if (made < 2) await client.deleteMonitor({ name });
  }
  const ids = [`${at}`, `${at}-1`, `${at}-2`];
  const alarms = (await alertsOf()).map((alert) => [alert.name, alert.raisedBy, alert.value]);
  expect(alarms.toSorted()).toEqual(
    ids.map((id, i) => [`${name}/alerts/rows-${id}`, `${name}/reports/${id}`, i + 2]),
  );
  for (const [i, id] of ids.entries())
    expect((await client.getReport({ name: `${name}/reports/${id}` })).report?.rowCount).toBe(BigInt(i + 2));
});

test('a row of the far future closes nothing', async () => {
  await client.applyMonitor({ monitor: hourly('future', 'future') });
  const wrong = [Date.UTC(2100, 0, 1), -9_000_000_000_000_000];
  await infer(bus, 'future', 'future-1', [start, ...wrong, start + 1000]);
  await infer(bus, 'future', 'future-2', [start + 2000, start + hour]);
  const [report] = await untilReports('future', 1);
  expect(report?.rowCount).toBe(3n);
});

test('rules without a baseline decide on what needs none, and an alarm ends with its rule', async () => {
  const rule = { comparison: Comparison.GREATER_OR_EQUAL, threshold: 0 };
  const alertRules = [
    { ...rule, id: 'mean', metric: 'prediction.mean' },
    { ...rule, id: 'nulls', metric: 'quality.nulls.x.y/z' },
    { ...rule, id: 'drift', metric: 'drift.share' },
    { ...rule, id: 'range', metric: 'quality.out_of_range.x.y/z' },
  ];
  const prediction = { task: Task.REGRESSION, column: 'score' };
  const monitor = { ...hourly('rules', 'rules'), prediction, alertRules };
  await client.applyMonitor({ monitor });
  await infer(bus, 'rules', 'rules-1', [start, start + 1, start + hour]);
  const raised = await until(async () => {
    const { alerts } = await client.listAlerts({ parent: monitor.name, state: AlertState.RAISED });
    return alerts.length >= 2 ? alerts : undefined;
  });
  expect(raised.map((alert) => alert.rule).sort()).toEqual(['mean', 'nulls']);
  expect((await reportsOf('rules'))[0]?.state).toBe(ReportState.INSUFFICIENT_DATA);
  await client.applyMonitor({ monitor: { ...monitor, alertRules: alertRules.slice(1) } });
  const { alerts } = await client.listAlerts({ parent: monitor.name, state: AlertState.RESOLVED });
  expect(alerts).toMatchObject([{ rule: 'mean', resolvedBy: '' }]);
});

test('windows that are open end with what they have when they are cut anew', async () => {
  await client.applyMonitor({ monitor: hourly('cut', 'cut') });
  await infer(bus, 'cut', 'cut-1', [start + hour, start + hour + 1]);
  await until(async () => (await client.getMonitor({ name: monitorNamed('cut') })).monitor?.watermark);
  const daily = { ...hourly('cut', 'cut'), window: { length: durationFromMs(24 * hour), minRows: 1 } };
  await client.applyMonitor({ monitor: daily });
  await infer(bus, 'cut', 'cut-2', [start + 2 * hour, start + 25 * hour]);
  const reports = await untilReports('cut', 2);
  const spans = reports.map((r) => (timestampMs(r.windowEnd!) - timestampMs(r.windowStart!)) / hour);
  expect(spans.sort((a, b) => a - b)).toEqual([1, 24]);
});

test('bad input is refused field by field', async () => {
  const good = hourly('bad', 'bad');
  const rule = { id: 'r', metric: 'drift.share', comparison: Comparison.LESS_OR_EQUAL, threshold: 1 };
  const window = (more: object) => ({
    monitor: { ...good, window: { length: durationFromMs(hour), ...more } },
  });
  const batch = (rowCount: number, ...columns: object[]) => ({
    parent,
    rows: { case: 'batch' as const, value: { rowCount, columns } },
  });
  const x = { name: 'x', type: ColumnType.DOUBLE, doubles: [1] };
  const bool = { kind: { case: 'boolValue' as const, value: true } };
  const labels = { deployment: deploymentNamed('bad'), inferenceIds: ['a'], labels: [bool] };
  const refusals: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => client.applyMonitor({}), 'monitor'],
    [() => client.applyMonitor({ monitor: { ...good, name: '' } }), 'monitor.name'],
    [() => client.applyMonitor({ monitor: { ...good, deployment: 'd' } }), 'monitor.deployment'],
    [
      () => client.applyMonitor({ monitor: { ...good, deployment: 'projects/other/deployments/d' } }),
      'monitor.deployment',
    ],
    [
      () => client.applyMonitor({ monitor: { ...good, baseline: 'projects/other/baselines/b' } }),
      'monitor.baseline',
    ],
    [() => client.applyMonitor({ monitor: { ...good, etag: 'x' } }), 'monitor.etag'],
    [() => client.applyMonitor(window({ length: durationFromMs(1500) })), 'monitor.window.length'],
    [() => client.applyMonitor(window({ offset: durationFromMs(-hour) })), 'monitor.window.offset'],
    [() => client.applyMonitor({ monitor: { ...good, drift: { share: 2 } } }), 'monitor.drift.share'],
    [
      () => client.applyMonitor({ monitor: { ...good, alertRules: [{ ...rule, metric: 'luck' }] } }),
      'monitor.alert_rules[0].metric',
    ],
    [
      () => client.applyMonitor({ monitor: { ...good, alertRules: [{ ...rule, resolveThreshold: 0 }] } }),
      'monitor.alert_rules[0].resolve_threshold',
    ],
    [
      () => client.applyMonitor({ monitor: { ...good, alertRules: [rule, rule] } }),
      'monitor.alert_rules[1].id',
    ],
    [() => client.createBaseline({ parent }), 'rows'],
    [() => client.createBaseline(batch(0)), 'rows'],
    [() => client.createBaseline(batch(2, x)), 'batch.columns[0]'],
    [() => client.createBaseline(batch(1, x, x)), 'batch.columns[1].name'],
    [() => client.createBaseline({ ...batch(1, x), name: 'projects/other/baselines/b' }), 'name'],
    [() => client.logGroundTruth({ ...labels, labels: [] }), 'labels'],
    [
      () => client.logGroundTruth({ ...labels, labels: [{ kind: { case: 'stringValue', value: 'yes' } }] }),
      'labels[0]',
    ],
    [() => client.logGroundTruth({ ...labels, knownTime: timestampFromMs(Date.UTC(2100, 0)) }), 'known_time'],
    [() => client.closeWindows({ name: good.name }), 'until'],
    [() => client.listReports({ parent: good.name, pageToken: 'forged' }), 'page_token'],
    [() => client.listReports({ parent: good.name, pageSize: -1 }), 'page_size'],
    [() => client.deleteMonitor({ name: monitorNamed('etag'), etag: '0x1' }), 'etag'],
  ];
  for (const [call, field] of refusals) {
    const error = await call().then(
      () => undefined,
      (e: unknown) => e,
    );
    expect({ field, error }).toMatchObject({ error: { code: 'INVALID_FIELD' } });
    expect((error as CodedError).violations.map((violation) => violation.field)).toContain(field);
  }
  const missing = [
    () => client.getMonitor({ name: monitorNamed('none') }),
    () => client.deleteMonitor({ name: monitorNamed('none') }),
    () => client.getBaseline({ name: `${parent}/baselines/none` }),
    () => client.applyMonitor({ monitor: { ...good, baseline: `${parent}/baselines/none` } }),
    () => client.closeWindows({ name: monitorNamed('none'), until: timestampFromMs(0) }),
    () => client.getReport({ name: `${monitorNamed('etag')}/reports/1e3` }),
    () =>
      client
        .watchReports({ parent: monitorNamed('none') })
        [Symbol.asyncIterator]()
        .next(),
  ];
  for (const call of missing) await expect(call()).rejects.toMatchObject({ kind: 'not_found' });
});
