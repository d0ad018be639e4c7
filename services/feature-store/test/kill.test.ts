import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ColumnType } from '@millrace/contracts/common';
import { FeatureStoreService, JobState, SourceFormat } from '@millrace/contracts/features';
import { createClient, grpcTransport, type Transport } from '@millrace/rpc';
import { startNats, startService, type TempDir, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { doubles, parent, readings, strings, times } from './harness.ts';

const base = Date.UTC(2001, 5, 14) * 1000;
const second = 1_000_000;
const machines = Array.from({ length: 12_000 }, (_, i) => `m${i}`);

let nats: TestNats;
let dir: TempDir;
let running: ChildProcess | undefined;
beforeAll(async () => {
  nats = await startNats();
  dir = tempDir();
  mkdirSync(join(dir.path, 'roots'));
  const lines = machines.flatMap((m) =>
    [0, 60, 120].map((s) => `${m},${new Date(base / 1000 + s * 1000).toISOString()},1.5`),
  );
  writeFileSync(join(dir.path, 'roots', 'log.csv'), ['machine,seen,reading', ...lines, ''].join('\n'));
});
afterAll(async () => {
  await kill();
  await nats.kill();
  await dir.remove();
});

let transport: Transport | undefined;

/** Starts the service as a process of its own, after ending the one before, and answers a client of it. */
async function start() {
  await kill();
  const env = {
    ...process.env,
    DATA_DIR: join(dir.path, 'data'),
    NATS_URL: nats.url,
    SOURCE_ROOTS: join(dir.path, 'roots'),
    JOB_LEASE_MS: '1000',
    LOG_LEVEL: 'error',
  };
  const main = join(import.meta.dirname, '../src/main.ts');
  running = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: running.stdout! }), 'line')) as [string];
  const { address } = JSON.parse(line) as { address: string };
  transport = grpcTransport({ address });
  return clientOf(transport);
}

const clientOf = (of: Transport) => createClient(FeatureStoreService, of, { deadlineMs: 60_000 });

async function kill() {
  transport?.close();
  if (!running || running.exitCode !== null || running.signalCode !== null) return;
  const gone = once(running, 'exit');
  running.kill('SIGKILL');
  await gone;
}

/** How many rows each machine has online, at the end of the hour. */
async function counts(client: Awaited<ReturnType<typeof start>>) {
  const found = new Map<string, number>();
  for (let i = 0; i < machines.length; i += 6000) {
    const part = machines.slice(i, i + 6000);
    const answer = await client.getOnlineFeatures({
      parent,
      features: ['readings:n_1h'],
      at: { seconds: BigInt(base / second + 600) },
      keys: { rowCount: part.length, columns: [strings('machine', part)] },
    });
    part.forEach((machine, row) => {
      found.set(machine, Number(answer.features[0]!.values!.int64s[row]));
    });
  }
  return found;
}

/**
 * Starts materializations until one is seen with some keys written and others not, and answers its name. A fast machine
 * may be done between two looks; then the next one is begun.
 */
async function materializingNow(client: Awaited<ReturnType<typeof start>>): Promise<string> {
  const materialization = {
    view: readings().name,
    full: true,
    endTime: { seconds: BigInt(base / second + 600) },
  };
  for (let round = 0; round < 20; round++) {
    const made = await client.createMaterialization({ parent, materialization });
    const { name } = made.materialization!;
    const seen = await until(
      async () => {
        const now = (await client.getMaterialization({ name })).materialization!;
        return now.state === JobState.SUCCEEDED || now.keysWritten > 0n ? now : undefined;
      },
      { everyMs: 1 },
    );
    if (seen.state === JobState.RUNNING) return name;
  }
  throw new Error('no materialization was caught in the middle in 20 rounds');
}

describe('killed with SIGKILL', () => {
  it('a materialization goes on after a restart, and each row counts once', async () => {
    let client = await start();
    const joinKeys = [{ name: 'machine', type: ColumnType.STRING }];
    await client.applyEntity({ entity: { name: `${parent}/entities/machine`, joinKeys } });
    const source = `${parent}/sources/log`;
    await client.applySource({
      source: { name: source, location: { case: 'path', value: 'log.csv' }, format: SourceFormat.CSV },
    });
    await client.applyFeatureView({ featureView: readings({ source }) });
    const name = await materializingNow(client);
    const get = async () => (await client.getMaterialization({ name })).materialization!;
    await kill();
    client = await start();
    const after = await until(
      async () => {
        const now = await get();
        return now.state === JobState.SUCCEEDED ? now : undefined;
      },
      { timeoutMs: 30_000 },
    );
    expect(after.attempt).toBe(2);
    expect(after.keysTotal).toBe(BigInt(machines.length));
    expect(new Set((await counts(client)).values())).toEqual(new Set([3]));
  }, 60_000);

  it('pushes that are tried again count once', async () => {
    let client = await start();
    const view = readings({ name: `${parent}/featureViews/readings` }).name;
    const push = (i: number) =>
      client.pushRows({
        view,
        requestId: `push-${i}`,
        rows: {
          rowCount: machines.length,
          columns: [
            strings('machine', machines),
            times(
              'seen',
              machines.map(() => base + i * second),
            ),
            doubles(
              'reading',
              machines.map(() => i),
            ),
          ],
        },
      });
    const pushes = [0, 1, 2, 3].map((i) =>
      push(i).then(
        () => true,
        () => false,
      ),
    );
    await Promise.race(pushes);
    await kill();
    await Promise.all(pushes);
    client = await start();
    for (const i of [3, 2, 1, 0]) await push(i);
    expect(new Set((await counts(client)).values())).toEqual(new Set([7]));
  }, 60_000);

  it('a job that its process dies of is given up, and those behind it are done', async () => {
    await using folder = tempDir();
    const env = { NATS_URL: nats.url, JOB_LEASE_MS: '1000', JOB_MAX_CRASHES: '2', LOG_LEVEL: 'error' };
    const options = { env, dataDir: folder.path };
    const race = { point: 'features.job-begun', signal: 'kill' } as const;
    const life = async (act: (client: ReturnType<typeof clientOf>) => Promise<void>, dies: boolean) => {
      await using service = await startService('feature-store', dies ? { ...options, race } : options);
      const own = grpcTransport({ address: service.address });
      await act(clientOf(own));
      if (dies) await service.reached;
      own.close();
    };
    const view = readings().name;
    const materialization = { view, endTime: { seconds: BigInt(base / second) } };
    const names: string[] = [];
    const ask = async (client: ReturnType<typeof clientOf>) => {
      const made = await client.createMaterialization({ parent, materialization });
      names.push(made.materialization!.name);
    };
    await life(async (client) => {
      const joinKeys = [{ name: 'machine', type: ColumnType.STRING }];
      await client.applyEntity({ entity: { name: `${parent}/entities/machine`, joinKeys } });
      await client.applyFeatureView({ featureView: readings() });
      await ask(client);
    }, true);
    await life(async () => {}, true);
    await life(async (client) => {
      await ask(client);
      const seen = await until(async () => {
        const { materializations } = await client.listMaterializations({ parent });
        return materializations.every(({ finishTime }) => finishTime) ? materializations : undefined;
      });
      const [first, second] = names.map((name) => seen.find((one) => one.name === name)!);
      expect(first).toMatchObject({ state: JobState.FAILED, attempt: 2, error: { code: 'GAVE_UP' } });
      expect(second).toMatchObject({ state: JobState.SUCCEEDED, attempt: 1 });
    }, false);
  }, 60_000);

  it('a job that was begun when the service stopped in order is not counted as one it died of', async () => {
    await using folder = tempDir();
    const env = { NATS_URL: nats.url, JOB_LEASE_MS: '1000', JOB_MAX_CRASHES: '1', LOG_LEVEL: 'error' };
    const options = { env: { ...env, SOURCE_ROOTS: join(dir.path, 'roots') }, dataDir: folder.path };
    await using service = await startService('feature-store', options);
    const own = grpcTransport({ address: service.address });
    const client = clientOf(own);
    const joinKeys = [{ name: 'machine', type: ColumnType.STRING }];
    await client.applyEntity({ entity: { name: `${parent}/entities/machine`, joinKeys } });
    const source = `${parent}/sources/log`;
    await client.applySource({
      source: { name: source, location: { case: 'path', value: 'log.csv' }, format: SourceFormat.CSV },
    });
    await client.applyFeatureView({ featureView: readings({ source }) });
    const name = await materializingNow(client);
    await service.restart();
    const after = await until(
      async () => {
        const now = (await client.getMaterialization({ name })).materialization!;
        return now.finishTime ? now : undefined;
      },
      { timeoutMs: 30_000 },
    );
    expect(after).toMatchObject({ state: JobState.SUCCEEDED, attempt: 2 });
    own.close();
  }, 60_000);
});
