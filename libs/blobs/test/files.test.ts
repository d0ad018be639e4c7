import { mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCoded } from '@millrace/errors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type BlobStore, type Digest, openBlobs } from '../src/index.ts';
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

describe('blobs in files that the disk does not give', () => {
  let folder: string;
  let store: BlobStore;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-blobs-'));
    store = await openBlobs({ url: `file:${folder}` });
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const blobs = () => Promise.all([1, 2, 3, 4].map(async (n) => (await store.put(Buffer.from([n]))).digest));
  const refusalOf = async (read: Promise<unknown>) =>
    isCoded(await read.catch((e: unknown) => e), 'data_loss');

  // Reading the first byte of a process's memory is an input/output error, and a link to itself cannot be looked at.
  test.runIf(process.platform === 'linux')('are damaged, and the others are verified', async () => {
    const [unread, unseen, ...sound] = await blobs();
    for (const [digest, target] of [[unread!, '/proc/self/mem'] as const, [unseen!, 'itself'] as const]) {
      const path = await store.localPath(digest);
      await rm(path);
      await symlink(target === 'itself' ? path : target, path);
      expect(await refusalOf(store.localPath(digest))).toBe(true);
    }
    const found = new Map<Digest, string | undefined>();
    for await (const { digest, damage } of store.verify()) found.set(digest, damage?.code);
    expect(found.get(unread!)).toBe('BLOB_UNREADABLE');
    expect(found.get(unseen!)).toBe('BLOB_UNREADABLE');
    for (const digest of sound) expect([found.has(digest), found.get(digest)]).toEqual([true, undefined]);
  });

  test('because a folder of them is broken are told of after the others were verified', async () => {
    const digests = await blobs();
    const [shelf] = digests.map((digest) => digest.slice(7, 9)).sort();
    await rm(join(folder, shelf!), { recursive: true });
    await writeFile(join(folder, shelf!), 'no folder');
    const verified: string[] = [];
    const verify = async () => {
      for await (const { digest } of store.verify()) verified.push(digest);
    };
    await expect(verify()).rejects.toMatchObject({
      code: 'BLOB_UNREADABLE',
      message: expect.stringContaining(`sha256:${shelf}`),
    });
    expect(verified).toEqual(digests.filter((digest) => !digest.startsWith(`sha256:${shelf}`)).sort());
  });

  test('because they end early are refused, whatever part is asked for', async () => {
    const { digest } = await store.put(Buffer.alloc(1000, 7));
    await truncate(await store.localPath(digest), 500);
    for (const range of [{ offset: 10, length: 20 }, { offset: 400 }, { offset: 700, length: 100 }]) {
      const read = async () => {
        for await (const _ of store.get(digest, range));
      };
      expect(await refusalOf(read())).toBe(true);
    }
  });
});
