import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { names, servingEvents } from '@millrace/contracts';
import { ColumnType } from '@millrace/contracts/common';
import { Task } from '@millrace/contracts/monitoring';
import { connectBus, ensureStream, publish } from '@millrace/events';
import { startNats, tempDir, until } from '@millrace/testing';
import { expect, test } from 'vitest';
import { firstOfEach } from '../src/domain/inference-ids.ts';
import { deploymentNamed, hour, hourly, start, startMonitoring } from './fixture.ts';

test('of rows with the same inference id the first one counts, in the report and in its performance', async () => {
  await using folder = tempDir('millrace-monitoring-');
  await using nats = await startNats();
  const bus = await connectBus({ url: nats.url, name: 'test' });
  const service = await startMonitoring({ NATS_URL: nats.url, DATA_DIR: folder.path });
  try {
    await ensureStream(bus, 'serving');
    const deployment = deploymentNamed('asked-again');
    const log = (
      id: string,
      version: string,
      ids: readonly string[],
      scores: readonly number[],
      atMs: number,
    ) =>
      publish(bus, servingEvents.inferenceLogged, {
        project: 'default',
        resource: deployment,
        id,
        data: {
          deployment,
          modelVersion: names.modelVersion.format({ project: 'default', model: 'm', version }),
          sampleRate: 1,
          inferenceIds: [...ids],
          requestIds: [...ids],
          eventTimes: ids.map(() => BigInt(atMs * 1000)),
          inputs: { rowCount: ids.length, columns: [] },
          outputs: {
            rowCount: ids.length,
            columns: [{ name: 'score', type: ColumnType.DOUBLE, doubles: [...scores] }],
          },
        },
      });
    const monitor = {
      ...hourly('asked-again', 'asked-again'),
      prediction: { task: Task.REGRESSION, column: 'score' },
    };
    await service.client.applyMonitor({ monitor });
    await log('event-1', '1', ['a', 'b', ''], [1, 2, 3], start);
    // The answer got lost, another version answered when the caller asked again.
    await log('event-2', '2', ['b', 'c', '', 'c'], [20, 4, 5, 6], start + 1);
    await log('event-3', '2', ['d'], [0], start + 3 * hour);
    await service.client.logGroundTruth({
      deployment,
      inferenceIds: ['a', 'b', 'c'],
      labels: [1, 3, 4].map((value) => ({ kind: { case: 'doubleValue', value } as const })),
      knownTime: timestampFromMs(start + hour),
    });
    await log('event-4', '2', ['e'], [0], start + 30 * hour);
    await service.client.logGroundTruth({
      deployment,
      inferenceIds: ['d'],
      labels: [{ kind: { case: 'doubleValue', value: 0 } }],
      knownTime: timestampFromMs(start + 40 * hour),
    });
    const report = await until(async () => {
      const { reports } = await service.client.listReports({ parent: monitor.name });
      return reports.find(({ windowStart, performance }) => {
        return performance && Number(windowStart?.seconds) * 1000 === start;
      });
    });
    expect(report.rowCount).toBe(5n);
    expect(report.versions.map(({ modelVersion, rowCount }) => [modelVersion, rowCount])).toEqual([
      ['1', 3n],
      ['2', 2n],
    ]);
    expect(report.performance?.labelledRows).toBe(3n);
    expect(report.performance?.metrics.find(({ key }) => key === 'mae')?.value).toBeCloseTo(1 / 3, 12);
  } finally {
    await service.stop();
    await bus.close();
  }
});

test('rows without an id all count', () => {
  const seen = new Set<string>();
  expect(firstOfEach(['', 'a', '', 'a'], seen)).toEqual([0, 1, 2]);
  expect(firstOfEach(['a', '', 'b'], seen)).toEqual([1, 2]);
});
