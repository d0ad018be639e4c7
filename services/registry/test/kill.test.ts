import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RegistryService, ModelVersionState as State } from '@millrace/contracts/registry';
import { type Client, createClient, grpcTransport } from '@millrace/rpc';
import { protect, tempDir } from '@millrace/testing';
import { describe, expect, it } from 'vitest';
import { digestOf, modelFile, project, upload } from './running.ts';

/** A registry in a process of its own, which can be killed. */
async function startProcess(dataDir: string) {
  const main = join(import.meta.dirname, '../src/main.ts');
  const env = { ...process.env, DATA_DIR: dataDir, NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'error' };
  const child: ChildProcess = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const release = protect('process', child.pid!);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  const transport = grpcTransport({ address: (JSON.parse(line) as { address: string }).address });
  return {
    models: createClient(RegistryService, transport, { deadlineMs: 20_000 }),
    async kill() {
      child.kill('SIGKILL');
      await exited;
      transport.close();
      release();
    },
  };
}

const uploads = 12;

/** Registers versions and promotes them, each under its request id; tells which were acknowledged. */
async function work(models: Client<typeof RegistryService>, parent: string): Promise<Map<number, number>> {
  const acknowledged = new Map<number, number>();
  await Promise.allSettled(
    Array.from({ length: uploads }, async (_, i) => {
      const header = { parent, requestId: `upload-${i}` };
      const { modelVersion } = await models.uploadModelVersion(upload(header, modelFile(i)));
      const { name, version } = modelVersion!;
      acknowledged.set(i, version);
      await models.promoteVersion({ name, alias: 'champion', requestId: `promote-${i}` });
    }),
  );
  return acknowledged;
}

describe('kill -9 in the middle of registrations and promotions', () => {
  it('loses nothing that was acknowledged, and retries leave each thing once', {
    timeout: 60_000,
  }, async () => {
    await using folder = tempDir();
    const before = await startProcess(folder.path);
    const parent = (await before.models.createModel({ parent: project, modelId: 'm' })).model!.name;
    const working = work(before.models, parent);
    while ((await before.models.listModelVersions({ parent })).modelVersions.length < uploads / 3);
    await before.kill();
    const acknowledged = await working;

    const after = await startProcess(folder.path);
    try {
      for (const [i, version] of acknowledged) {
        const { modelVersion } = await after.models.getModelVersion({
          name: `${parent}/versions/${version}`,
        });
        expect(modelVersion).toMatchObject({ state: State.READY, digest: digestOf(modelFile(i)) });
      }
      const retried = await work(after.models, parent);
      expect(retried.size).toBe(uploads);
      for (const [i, version] of acknowledged) expect(retried.get(i)).toBe(version);
      const { modelVersions } = await after.models.listModelVersions({ parent });
      expect(new Set(modelVersions.map((row) => row.digest)).size).toBe(uploads);
      expect(modelVersions.map((row) => row.version)).toEqual(
        Array.from({ length: uploads }, (_, i) => uploads - i),
      );
      const { moves } = await after.models.listAliasMoves({ name: `${parent}/aliases/champion` });
      expect(new Set(moves.map((move) => move.decision)).size).toBe(moves.length);
      expect(moves.map((move) => Number(move.revision))).toEqual(moves.map((_, i) => moves.length - i));
    } finally {
      await after.kill();
    }
  });
});
