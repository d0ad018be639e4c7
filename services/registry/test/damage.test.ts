import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IntegrityService } from '@millrace/contracts/common';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startNats } from '@millrace/testing';
import { expect, test } from 'vitest';
import { digestOf, modelFile, modelWithVersions, startRegistry } from './running.ts';

test('bytes of versions that changed or are gone are noticed; those of deleted versions are not missed', async () => {
  await using nats = await startNats();
  const registry = await startRegistry({ NATS_URL: nats.url });
  const transport = grpcTransport({ address: registry.address });
  const integrity = createClient(IntegrityService, transport, { deadlineMs: 30_000 });
  try {
    const model = await modelWithVersions(registry, 'delays', 3);
    const [changed, gone, deleted] = [1, 2, 3].map((weight) => digestOf(modelFile(weight)));
    const fileOf = (digest = '') =>
      join(registry.folder, 'registry/blobs', digest.slice(7, 9), digest.slice(7));
    const bytes = readFileSync(fileOf(changed));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(fileOf(changed), bytes);
    const resumed = async () => {
      for await (const _ of registry.models.downloadModelVersion({
        name: `${model}/versions/1`,
        offset: 10n,
      }));
    };
    await expect(resumed()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', kind: 'data_loss' });
    await registry.models.deleteModelVersion({ name: `${model}/versions/3` });
    for (const digest of [gone, deleted]) rmSync(fileOf(digest));
    let damages: { what: string }[] = [];
    for await (const told of integrity.verifyStorage({})) damages = told.damages;
    expect(damages.map(({ what }) => what).sort()).toEqual([changed, gone].sort());
  } finally {
    transport.close();
    await registry.stop();
  }
});
