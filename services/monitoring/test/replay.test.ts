import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Comparison, Task } from '@millrace/contracts/monitoring';
import { type Bus, connectBus, ensureStream } from '@millrace/events';
import { startNats, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploymentNamed, hour, hourly, infer, type Monitoring, start, startMonitoring } from './fixture.ts';

const hours = 8;
/** Those before the last hour, and two that the first batch opens before. */
const windows = hours + 1;
const monitor = {
  ...hourly('replayed', 'replayed'),
  prediction: { task: Task.REGRESSION, column: 'score' },
  alertRules: [
    {
      id: 'rows',
      metric: 'quality.rows',
      comparison: Comparison.GREATER_OR_EQUAL,
      threshold: 12,
      resolveThreshold: 11,
    },
  ],
};
let nats: TestNats;
let bus: Bus;

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'test' });
  await ensureStream(bus, 'serving');
});
afterAll(async () => {
  await bus?.close();
  await nats?.stop();
});

/** One hour of traffic, with rows that come late, and the truth about it. */
async function play(client: Monitoring, h: number): Promise<void> {
  const from = start + h * hour;
  const rows = Array.from({ length: 10 + (h % 3) }, (_, i) => from + i * 60_000);
  const batch = `replay-${h}`;
  await infer(bus, 'replayed', batch, [...rows, from - 1, from - 2 * hour]);
  await client.logGroundTruth({
    deployment: deploymentNamed('replayed'),
    inferenceIds: rows.map((_, i) => `${batch}/${i}`),
    labels: rows.map((_, i) => ({ kind: { case: 'doubleValue', value: i / 10 + h } as const })),
    knownTime: timestampFromMs(from + 25 * hour),
    requestId: `truth-${h}`,
  });
}

/** What is seen of the monitor, without the moments at which it was written. */
async function seen(client: Monitoring) {
  const { reports } = await client.listReports({ parent: monitor.name });
  const { alerts } = await client.listAlerts({ parent: monitor.name });
  return {
    reports: reports.map(({ createTime: _, updateTime: __, ...report }) => report),
    alerts: alerts
      .map(({ raiseTime: _, resolveTime: __, ...alert }) => alert)
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

const untilSettled = (client: Monitoring) =>
  until(
    async () => {
      const state = await seen(client);
      const measured = state.reports.filter((report) => report.performance);
      return state.reports.length >= windows && measured.length >= windows ? state : undefined;
    },
    { what: 'all reports' },
  );

test('a restart in the middle and a replay from zero give the same reports and alarms', async () => {
  await using whole = tempDir('millrace-whole-');
  await using replayed = tempDir('millrace-replayed-');
  const env = (folder: { path: string }) => ({ NATS_URL: nats.url, DATA_DIR: folder.path });
  let service = await startMonitoring(env(whole));
  await service.client.applyMonitor({ monitor });
  for (let h = 0; h < hours; h++) {
    await play(service.client, h);
    if (h !== 3) continue;
    await service.stop();
    // Traffic goes on while it is away.
    await infer(bus, 'replayed', 'while-away', [start + 3.5 * hour]);
    service = await startMonitoring(env(whole));
  }
  const first = await untilSettled(service.client);
  // Rows a moment late are in; those of two hours before are too late, but in the first batch nothing is.
  expect(first.reports.map((report) => Number(report.rowCount)).reverse()).toEqual([
    1, 1, 11, 12, 13, 12, 12, 13, 11,
  ]);
  expect(first.reports.at(-3)?.performance?.labelledRows).toBe(10n);
  expect(first.alerts.map((alert) => alert.rule)).toEqual(['rows']);
  await service.stop();

  // The same events into empty storage.
  await using second = await startNats();
  await bus.close();
  bus = await connectBus({ url: second.url, name: 'test' });
  await ensureStream(bus, 'serving');
  const again = await startMonitoring({ NATS_URL: second.url, DATA_DIR: replayed.path });
  await again.client.applyMonitor({ monitor });
  for (let h = 0; h < hours; h++) {
    await play(again.client, h);
    if (h === 3) await infer(bus, 'replayed', 'while-away', [start + 3.5 * hour]);
  }
  expect(await untilSettled(again.client)).toEqual(first);
  await again.stop();
});
