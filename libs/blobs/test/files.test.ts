import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBlobs } from '../src/index.ts';
import { blobContract } from './contract.ts';

blobContract('files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-blobs-'));
  const store = await openBlobs({ url: `file:${folder}` });
  return {
    store,
    presigns: false,
    damage: async (digest) => {
      const path = await store.localPath(digest);
      const bytes = await readFile(path);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await writeFile(path, bytes);
    },
    leftovers: async () => (await readdir(join(folder, 'incoming'))).length,
    close: async () => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
