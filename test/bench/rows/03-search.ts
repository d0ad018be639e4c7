import { join } from 'node:path';
import { TrackingService } from '@millrace/contracts/tracking';
import { openDocuments } from '@millrace/documents';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, tempDir } from '@millrace/testing';
import { createRun, type Run } from '../../../services/tracking/src/domain/run.ts';
import { collections, runsSpec } from '../../../services/tracking/src/store/collections.ts';
import { pack } from '../../../services/tracking/src/store/stored-run.ts';
import { ask, startChild } from '../floors/child.ts';
import { atMost, atMostTimesFloor, type Row } from '../row.ts';

const runCount = 100_000;
const metricsPerRun = 5;
const calls = 5;

/** Fills a store as the service itself would, only without the calls. */
async function fill(file: string): Promise<void> {
  const store = await openDocuments({ url: `sqlite:${file}`, collections });
  const runs = store.collection(runsSpec);
  const at = 1_700_000_000_000;
  for (let from = 0; from < runCount; from += 1_000) {
    const page = Array.from({ length: 1_000 }, (_, i) => runs.insert(...stored(from + i, at + from + i)));
    await Promise.all(page);
  }
  await store.close();
}

function stored(n: number, atMs: number) {
  const id = n.toString(16).padStart(32, '0');
  const wanted = {
    project: 'default',
    id,
    experiment: 0,
    displayName: `run ${n}`,
    status: 'RUNNING' as const,
  };
  const run: Run = {
    ...createRun({ ...wanted, startTimeMs: atMs, tags: [{ key: 'team', value: `t${n % 20}` }] }, atMs),
    params: [{ key: 'rate', value: String((n % 100) / 100) }],
    metrics: Array.from({ length: metricsPerRun }, (_, m) => ({
      key: `m${m}`,
      value: ((n * 7919 + m * 104_729) % 100_003) / 100_003,
      step: 100n,
      timestampMs: atMs,
    })),
  };
  return [`default/${id}`, pack(run)] as const;
}

const search: Row = {
  name: 'search-runs',
  title:
    'search of 100,000 runs: filter on a metric, order by a metric, first page of 100, each but the first',
  floor: 'bare SQLite scan of the same documents, read and not parsed',
  aims: [atMostTimesFloor('ms', 2), atMost('ms', 150)],
  async open() {
    const folder = tempDir('millrace-bench-');
    const file = join(folder.path, 'tracking', 'documents.db');
    await fill(file);
    const floor = await startChild(new URL('../floors/sqlite-scan.ts', import.meta.url), [file, 'c_runs']);
    const nats = await startNats();
    const service = await startService('tracking', {
      env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' },
      dataDir: folder.path,
    });
    const transport = grpcTransport({ address: service.address });
    const tracking = createClient(TrackingService, transport, { deadlineMs: 60_000 });
    const searchMs = async (filter: string) => {
      const begun = performance.now();
      const { runs } = await tracking.searchRuns({
        parent: 'projects/default',
        filter,
        orderBy: 'metrics.m1 DESC',
        pageSize: 100,
      });
      if (runs.length !== 100) throw new Error(`a page of ${runs.length} runs`);
      return performance.now() - begun;
    };
    const firstMs = await searchMs('metrics.m0 > 0.9');
    return {
      async ours() {
        let ms = 0;
        for (let n = 0; n < calls; n++) ms += await searchMs(`metrics.m0 > 0.${90 + n}`);
        return { ms: ms / calls, 'first ms': firstMs };
      },
      async floor() {
        return { ms: await ask<number>(floor, {}) };
      },
      async close() {
        transport.close();
        await Promise.all([service.stop(), nats.stop(), floor.stop()]);
        await folder.remove();
      },
    };
  },
};

export const rows: readonly Row[] = [search];
