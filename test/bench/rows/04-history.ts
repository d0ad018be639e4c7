import { join } from 'node:path';
import { TrackingService } from '@millrace/contracts/tracking';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, tempDir } from '@millrace/testing';
import { ask, startChild } from '../floors/child.ts';
import { atMostTimesFloor, type Row } from '../row.ts';

const pointCount = 1_000_000;
const batchPoints = 1_000;
const calls = 3;

const history: Row = {
  name: 'metric-history',
  title: 'metric history, 1,000,000 points, down-sampled to 1,000',
  floor: 'bare SQLite, reading the same chunks',
  aims: [atMostTimesFloor('ms', 2)],
  explanation:
    'of the time of a history in the service, half (51 %) is reading the chunks through the store, 30 % joining the columns of 1,000 batches into two of a million entries, and 12 % choosing the points.',
  async open() {
    const folder = tempDir('millrace-bench-');
    const nats = await startNats();
    const service = await startService('tracking', {
      env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' },
      dataDir: folder.path,
    });
    const transport = grpcTransport({ address: service.address });
    const tracking = createClient(TrackingService, transport, { deadlineMs: 60_000 });
    const { run } = await tracking.createRun({ parent: 'projects/default', run: {} });
    const name = run!.name;
    const log = (from: number) =>
      tracking.logBatch({
        name,
        requestId: `batch-${from}`,
        metrics: Array.from({ length: batchPoints }, (_, i) => ({
          key: 'loss',
          value: Math.sin((from + i) / 5_000),
          step: BigInt(from + i),
          timestampMs: 1_700_000_000_000n + BigInt(from + i),
        })),
      });
    for (let from = 0; from < pointCount; from += batchPoints * 8)
      await Promise.all(Array.from({ length: 8 }, (_, n) => log(from + n * batchPoints)));
    const floor = await startChild(new URL('../floors/sqlite-chunks.ts', import.meta.url), [
      join(folder.path, 'tracking', 'documents.db'),
      'c_batches',
    ]);
    return {
      async ours() {
        const begun = performance.now();
        for (let n = 0; n < calls; n++) {
          const { points, totalPoints } = await tracking.getMetricHistory({
            name,
            key: 'loss',
            maxPoints: 1_000,
          });
          if (points.length > 1_000 || totalPoints !== BigInt(pointCount))
            throw new Error(`${points.length} of ${totalPoints} points`);
        }
        return { ms: (performance.now() - begun) / calls };
      },
      floor: async () => ({ ms: await ask<number>(floor, {}) }),
      async close() {
        transport.close();
        await Promise.all([service.stop(), nats.stop(), floor.stop()]);
        await folder.remove();
      },
    };
  },
};

export const rows: readonly Row[] = [history];
