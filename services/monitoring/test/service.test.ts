import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { loadSettings } from '@millrace/config';
import { names, servingEvents } from '@millrace/contracts';
import { type ColumnBatchSchema, ColumnType } from '@millrace/contracts/common';
import {
  AlertState,
  Comparison,
  DriftMethod,
  MonitoringService,
  ReportState,
  Task,
} from '@millrace/contracts/monitoring';
import { type Bus, connectBus, ensureStream, publish } from '@millrace/events';
import { type Client, createClient, grpcTransport } from '@millrace/rpc';
import { type RunningService, startService } from '@millrace/service';
import { silentLogger } from '@millrace/telemetry';
import { startNats, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { settings } from '../src/config.ts';
import { build } from '../src/wiring.ts';

const hour = 3_600_000;
const start = Date.UTC(2001, 5, 4);
const deployment = names.deployment.format({ project: 'default', deployment: 'late' });
const modelVersion = names.modelVersion.format({ project: 'default', model: 'late', version: '1' });

let nats: TestNats;
let service: RunningService;
let bus: Bus;
let client: Client<typeof MonitoringService>;
const folder = tempDir('millrace-monitoring-');

beforeAll(async () => {
  nats = await startNats();
  const config = loadSettings(settings, { NATS_URL: nats.url, DATA_DIR: folder.path });
  service = await startService(
    { name: 'monitoring', context: 'monitoring', settings, build },
    { config, log: silentLogger },
  );
  client = createClient(MonitoringService, grpcTransport({ address: service.address }), {
    deadlineMs: 10_000,
  });
  bus = await connectBus({ url: nats.url, name: 'test' });
  await ensureStream(bus, 'serving');
});

afterAll(async () => {
  await bus?.close();
  await service?.stop();
  await nats?.stop();
  await folder.remove();
});

/** Deterministic numbers in [0, 1). */
function stream(seed: number): () => number {
  let s = seed;
  return () => {
    s = (1664525 * s + 1013904223) % 2 ** 32;
    return s / 2 ** 32;
  };
}

type Batch = MessageInitShape<typeof ColumnBatchSchema>;

function rows(n: number, shift: number, seed: number): { inputs: Batch; outputs: Batch; yes: boolean[] } {
  const next = stream(seed);
  const delay = Array.from({ length: n }, () => next() * 10 + shift);
  const hub = Array.from({ length: n }, () => (next() < 0.5 ? 'ORD' : 'ATL'));
  const score = delay.map((d) => Math.min(0.99, d / 20));
  return {
    inputs: {
      rowCount: n,
      columns: [
        { name: 'delay', type: ColumnType.DOUBLE, doubles: delay },
        { name: 'hub', type: ColumnType.STRING, strings: hub },
      ],
    },
    outputs: { rowCount: n, columns: [{ name: 'probability', type: ColumnType.DOUBLE, doubles: score }] },
    yes: score.map((p) => next() < p),
  };
}

async function infer(window: number, shift: number): Promise<void> {
  const n = 500;
  const { inputs, outputs, yes } = rows(n, shift, window + 7);
  const at = (i: number) => start + window * hour + Math.floor((i * hour) / n);
  const ids = Array.from({ length: n }, (_, i) => `w${window}/${i}`);
  const eventTimes = ids.map((_, i) => BigInt(at(i)) * 1000n);
  const data = {
    deployment,
    modelVersion,
    sampleRate: 1,
    inferenceIds: ids,
    requestIds: ids,
    eventTimes,
    inputs,
    outputs,
  };
  await publish(bus, servingEvents.inferenceLogged, {
    project: 'default',
    resource: deployment,
    data,
    id: `batch-${window}`,
  });
  await client.logGroundTruth({
    deployment,
    inferenceIds: ids,
    labels: yes.map((value) => ({ kind: { case: 'boolValue', value } })),
    knownTime: timestampFromMs(start + (window + 1) * hour),
    requestId: `labels-${window}`,
  });
}

const monitor = names.monitor.format({ project: 'default', monitor: 'late' });

test('drift raises an alarm with its reasons, calm resolves it, and ground truth gives performance', async () => {
  const { inputs, outputs } = rows(3000, 0, 1);
  const batch = { rowCount: 3000, columns: [...(inputs.columns ?? []), ...(outputs.columns ?? [])] };
  const made = await client.createBaseline({
    parent: 'projects/default',
    rows: { case: 'batch', value: batch },
    metrics: [{ key: 'auc', value: 0.6 }],
  });
  expect(made.baseline?.rowCount).toBe(3000n);
  await client.applyMonitor({
    monitor: {
      name: monitor,
      deployment,
      baseline: made.baseline?.name ?? '',
      window: { length: durationFromMs(hour), labelDelay: durationFromMs(hour) },
      drift: { share: 0.5 },
      prediction: { task: Task.BINARY_CLASSIFICATION, column: 'probability' },
      alertRules: [
        {
          id: 'drift',
          metric: 'drift.share',
          comparison: Comparison.GREATER_OR_EQUAL,
          threshold: 0.5,
          resolveThreshold: 0.2,
        },
        {
          id: 'loss',
          metric: 'performance.log_loss',
          comparison: Comparison.GREATER_OR_EQUAL,
          threshold: 100,
        },
      ],
    },
  });
  for (const [window, shift] of [0, 0, 6, 6, 0, 0, 0].entries()) await infer(window, shift);

  const reports = await until(async () => {
    const page = await client.listReports({ parent: monitor });
    return page.reports.length >= 6 && page.reports.filter((report) => report.performance).length >= 5
      ? page.reports
      : undefined;
  });
  const byWindow = [...reports].reverse();
  expect(byWindow.map((report) => Number(report.rowCount))).toEqual([500, 500, 500, 500, 500, 500]);
  expect(byWindow.map((report) => report.drift?.columns.find((c) => c.column === 'delay')?.drifted)).toEqual([
    false,
    false,
    true,
    true,
    false,
    false,
  ]);
  const drifted = byWindow[2]?.drift?.columns.find((c) => c.column === 'delay');
  expect(drifted?.method).toBe(DriftMethod.WASSERSTEIN);
  expect(drifted?.reason).toMatch(/^delay: wasserstein [\d.]+ >= 0\.1, mean [\d.]+ → mean [\d.]+$/);
  expect(byWindow[2]?.predictionDrift?.drifted).toBe(true);
  expect(byWindow[0]?.performance?.labelledRows).toBe(500n);
  expect(byWindow[0]?.performance?.metrics.map((m) => m.key)).toContain('auc');

  const { alerts } = await client.listAlerts({ parent: monitor });
  expect(alerts).toHaveLength(1);
  expect(alerts[0]).toMatchObject({ rule: 'drift', state: AlertState.RESOLVED });
  expect(alerts[0]?.raisedBy).toBe(byWindow[2]?.name);
  expect(alerts[0]?.resolvedBy).toBe(byWindow[4]?.name);
});

test('the same batches again change no report', async () => {
  const before = await client.listReports({ parent: monitor });
  for (const window of [0, 3]) await infer(window, window === 3 ? 6 : 0);
  await infer(7, 0);
  await until(async () => {
    const page = await client.listReports({ parent: monitor });
    return page.reports.length > before.reports.length ? page : undefined;
  });
  const after = await client.listReports({ parent: monitor });
  for (const old of before.reports.filter((report) => report.performance)) {
    expect(after.reports.find((report) => report.name === old.name)).toEqual(old);
  }
});

test('too few rows are said to be too few', async () => {
  const name = names.monitor.format({ project: 'default', monitor: 'strict' });
  const window = { length: durationFromMs(hour), minRows: 10_000 };
  await client.applyMonitor({ monitor: { name, deployment, window } });
  await infer(20, 0);
  const reports = await until(async () => {
    const closed = await client.closeWindows({ name, until: timestampFromMs(start + 30 * hour) });
    return closed.reports.length > 0 ? closed.reports : undefined;
  });
  const { report } = await client.getReport({ name: reports[0] ?? '' });
  expect(report?.state).toBe(ReportState.INSUFFICIENT_DATA);
  expect(report?.reason).toContain('at least 10000 are needed');
});
