import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { durationFromMs, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { DriftMethod, MonitoringService } from '@millrace/contracts/monitoring';
import { connectBus, ensureStream } from '@millrace/events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats, startService, tempDir, until } from '@millrace/testing';
import { ask, startChild } from '../floors/child.ts';
import { columnNames, createInferences, deploymentNamed, makeRows } from '../monitored/inferences.ts';
import { type Aim, atMost, type Row } from '../row.ts';

const [few, many] = [100_000, 1_000_000];
const baselineRows = 50_000;
const hourMs = 3_600_000;
const parent = 'projects/default';
const baseline = `${parent}/baselines/bench`;
const numeric = ['KS', 'PSI', 'WASSERSTEIN', 'JENSEN_SHANNON', 'CHI_SQUARE'] as const;
const categorical = ['CHI_SQUARE', 'JENSEN_SHANNON'] as const;

/** Every method for some of the columns; the last two are texts. */
const overrides = columnNames.map((column, c) => {
  const method = c < columnNames.length - 2 ? numeric[c % 5]! : categorical[c % 2]!;
  return { column, method: DriftMethod[method] };
});

/** Monitoring behind a real nats-server, with a monitor of one window that waits to be closed. */
async function startMonitoring() {
  const nats = await startNats();
  const folder = tempDir('millrace-bench-');
  const service = await startService('monitoring', {
    env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' },
    dataDir: folder.path,
  });
  const transport = grpcTransport({ address: service.address });
  const monitoring = createClient(MonitoringService, transport, { deadlineMs: 300_000 });
  const bus = await connectBus({ url: nats.url, name: 'bench' });
  await ensureStream(bus, 'serving');
  const inferences = createInferences(bus);
  const batch = makeRows(baselineRows, 0, 7);
  await monitoring.createBaseline({ parent, name: baseline, rows: { case: 'batch', value: batch } });
  return {
    pid: service.pid,
    file: join(folder.path, 'monitoring', 'documents.db'),
    /** Makes a monitor and logs rows into its first window; answers how long until all of them were taken. */
    async take(id: string, rows: number): Promise<number> {
      const name = `${parent}/monitors/${id}`;
      const startMs = Date.UTC(2026, 0, 1);
      await monitoring.applyMonitor({
        monitor: {
          ...{ name, baseline, deployment: deploymentNamed(id) },
          window: { length: durationFromMs(hourMs) },
          drift: { overrides },
        },
      });
      const begun = performance.now();
      await inferences.log(id, rows, startMs + hourMs / 2);
      // One more row, half a second later: when it is seen all others are.
      await inferences.log(id, 1, startMs + hourMs / 2 + 500);
      const isTaken = async () => {
        const { monitor } = await monitoring.getMonitor({ name });
        return monitor?.watermark && timestampMs(monitor.watermark) === startMs + hourMs / 2 + 500;
      };
      await until(isTaken, { timeoutMs: 120_000, what: 'intake' });
      return (performance.now() - begun) / 1000;
    },
    /** Closes the window; answers how long its report took. The monitor goes, with its rows. */
    async report(id: string, rows: number): Promise<number> {
      const name = `${parent}/monitors/${id}`;
      const begun = performance.now();
      const { reports } = await monitoring.closeWindows({
        name,
        until: timestampFromMs(Date.UTC(2026, 0, 1) + hourMs),
      });
      const seconds = (performance.now() - begun) / 1000;
      const { report } = await monitoring.getReport({ name: reports[0]! });
      if (Number(report?.rowCount) !== rows + 1 || report?.drift?.columns.length !== columnNames.length)
        throw new Error(`a report of ${report?.rowCount} rows and ${report?.drift?.columns.length} columns`);
      await monitoring.deleteMonitor({ name });
      return seconds;
    },
    async close() {
      await bus.close();
      transport.close();
      await service.stop();
      await nats.stop();
      await folder.remove();
    },
  };
}

const linear: Aim = {
  text: `µs/row of ${many} ≤ 1.2 × of ${few}`,
  holds: ({ ours }) =>
    (ours['µs/row of 1 M']?.median ?? Number.NaN) <= 1.2 * (ours['µs/row of 100 k']?.median ?? 0),
};

const drift: Row = {
  name: 'drift',
  title: 'drift report of 1,000,000 rows x 20 columns, all methods',
  floor: 'bare SQLite: the same rows read',
  rounds: 2,
  aims: [atMost('s', 5), linear, atMost('peak MiB', 1024)],
  explanation:
    'in a profile nearly three quarters of the time of a report (73 %) went to sorting each column once, which KS and Wasserstein need; the other methods only count values in bins.',
  async open() {
    const monitoring = await startMonitoring();
    let round = 0;
    await monitoring.take(`many-${round}`, many);
    const floor = await startChild(new URL('../floors/sqlite-chunks.ts', import.meta.url), [
      monitoring.file,
      'c_chunks',
    ]);
    return {
      async ours() {
        const s = await monitoring.report(`many-${round}`, many);
        await monitoring.take(`few-${round}`, few);
        const small = await monitoring.report(`few-${round}`, few);
        round += 1;
        const taken = await monitoring.take(`many-${round}`, many);
        return {
          s,
          'µs/row of 1 M': (s * 1e6) / many,
          'µs/row of 100 k': (small * 1e6) / few,
          'rows/s taken': many / taken,
          'peak MiB': peakOf(monitoring.pid),
        };
      },
      floor: async () => ({ s: (await ask<number>(floor, {})) / 1000 }),
      async close() {
        await floor.stop();
        await monitoring.close();
      },
    };
  },
};

function peakOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

export const rows: readonly Row[] = [drift];
