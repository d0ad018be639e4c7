import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { IntegrityService } from '@millrace/contracts/common';
import { createClient, grpcTransport } from '@millrace/rpc';
import { tempDir, until } from '@millrace/testing';
import { expect, test } from 'vitest';
import { all, startTracking } from './tracking.ts';

test('artifacts that end early or are gone are noticed, whatever part is read, until they are uploaded again', async () => {
  await using folder = tempDir();
  const service = await startTracking({ DATA_DIR: folder.path });
  const transport = grpcTransport({ address: service.address });
  const integrity = createClient(IntegrityService, transport, { deadlineMs: 30_000 });
  const { tracking } = service;
  const known = async () => (await integrity.listDamages({})).damages.map(({ what }) => what);
  try {
    const { run } = await tracking.createRun({ parent: 'projects/default', run: {} });
    const parent = run!.name;
    const upload = async (path: string) => {
      async function* parts() {
        yield { part: { case: 'header' as const, value: { run: parent, path } } };
        yield { part: { case: 'chunk' as const, value: Buffer.alloc(100_000, path) } };
      }
      return (await tracking.uploadArtifact(parts())).artifact!.digest;
    };
    const fileOf = (digest: string) =>
      join(folder.path, 'tracking/blobs', digest.slice(7, 9), digest.slice(7));
    const [short, gone] = [await upload('short'), await upload('gone')];
    await truncate(fileOf(short), 50_000);
    const read = all(tracking.downloadArtifact({ parent, path: 'short', offset: 40_000n, length: 100n }));
    await expect(read).rejects.toMatchObject({ kind: 'data_loss' });
    await until(async () => (await known()).includes(short));
    await rm(fileOf(gone));
    await all(integrity.verifyStorage({}));
    expect((await known()).sort()).toEqual([short, gone].sort());
    for (const path of ['short', 'gone']) await upload(path);
    expect(await known()).toEqual([]);
  } finally {
    transport.close();
    await service.stop();
  }
});
