import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSuite } from '@millrace/cli';
import { freePort, tempDir } from '@millrace/testing';
import { startChild } from '../floors/child.ts';
import { residentMiB } from '../machine.ts';
import { atMost, type Row } from '../row.ts';

const idleMs = 5_000;

const start: Row = {
  name: 'start',
  title: 'start of the whole suite until all are ready; resident memory, idle',
  floor: 'a Node process that only says that it is there',
  rounds: 3,
  aims: [atMost('s', 5), atMost('MiB idle', 900)],
  async open() {
    return {
      async ours() {
        await using folder = tempDir('millrace-bench-');
        const begun = performance.now();
        const suite = await startSuite({ dataDir: join(folder.path, 'data'), portBase: await freePort() });
        const seconds = (performance.now() - begun) / 1000;
        await sleep(idleMs);
        const pids = [...suite.services.values()].map(({ pid }) => pid ?? 0);
        const resident = [...pids, suite.nats.pid ?? 0]
          .filter((pid) => pid > 0)
          .reduce((sum, pid) => sum + residentMiB(pid), 0);
        await suite.stop();
        return { s: seconds, 'MiB idle': resident };
      },
      async floor() {
        const begun = performance.now();
        const child = await startChild(new URL('../floors/sqlite-commits.ts', import.meta.url));
        const seconds = (performance.now() - begun) / 1000;
        const resident = residentMiB(child.process.pid ?? 0);
        await child.stop();
        return { s: seconds, 'MiB idle': resident };
      },
      close: async () => {},
    };
  },
};

export const rows: readonly Row[] = [start];
