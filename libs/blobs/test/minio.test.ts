import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'minio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findMinio, type MinioServer } from '../../../test/servers/minio.ts';
import { digestOf, openBlobs } from '../src/index.ts';
import { blobContract } from './contract.ts';

const found = findMinio();

if ('reason' in found) {
  describe('blobs on MinIO', () => {
    test.skip(`skipped: ${found.reason}`, () => {});
  });
} else {
  describe('on a server', () => {
    const bucket = `test-${randomBytes(8).toString('hex')}`;
    let server: MinioServer;
    let cacheDir: string;
    let client: Client;
    beforeAll(async () => {
      server = await found.start();
      cacheDir = await mkdtemp(join(tmpdir(), 'millrace-blob-cache-'));
      client = clientOf(server);
    }, 60_000);
    afterAll(async () => {
      await empty(client, bucket);
      await client.removeBucket(bucket).catch(() => {});
      await server?.stop();
      await rm(cacheDir, { recursive: true, force: true });
    }, 60_000);

    blobContract(`MinIO (${found.kind})`, async () => {
      const store = await openBlobs({ url: server.blobsUrl(bucket), cacheDir });
      return {
        store,
        presigns: true,
        damage: async (digest) => {
          const key = `sha256/${digest.slice('sha256:'.length)}`;
          const bytes = Buffer.from(await store.bytes(digest));
          bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
          await client.putObject(bucket, key, bytes);
        },
        leftovers: async () => (await keys(client, bucket, 'incoming/')).length,
        close: () => store.close(),
      };
    });

    test('an upload in several parts that fails leaves no part behind', async () => {
      const store = await openBlobs({ url: server.blobsUrl(bucket), cacheDir });
      async function* broken() {
        for (let i = 0; i < 40; i++) yield randomBytes(1 << 20);
        throw new Error('the sender went away');
      }
      await expect(store.put(broken())).rejects.toThrow('the sender went away');
      expect(await unfinished(client, bucket)).toBe(0);
      expect(await keys(client, bucket, 'incoming/')).toEqual([]);
      await store.close();
    });

    test('stores in one bucket with other prefixes do not see each other', async () => {
      const [one, other] = await Promise.all(
        ['one', 'other/deep'].map((prefix) =>
          openBlobs({ url: server.blobsUrl(`${bucket}/${prefix}`), cacheDir }),
        ),
      );
      const { digest } = await one!.put(randomBytes(50));
      expect(await other!.stat(digest)).toBeUndefined();
      expect((await one!.list()).map((info) => info.digest)).toEqual([digest]);
      expect(await other!.list()).toEqual([]);
      await one!.remove(digest);
    });

    test('stores that open together on a server without the bucket all open', async () => {
      const fresh = `${bucket}-fresh`;
      const urls = Array.from({ length: 6 }, (_, i) => server.blobsUrl(`${fresh}/${i}`));
      await Promise.all(urls.map((url) => openBlobs({ url, cacheDir })));
      await client.removeBucket(fresh);
    });

    test('a damaged local copy is fetched again', async () => {
      const store = await openBlobs({ url: server.blobsUrl(bucket), cacheDir });
      const bytes = randomBytes(1000);
      const { digest } = await store.put(bytes);
      await writeFile(await store.localPath(digest), 'something else');
      expect((await readFile(await store.localPath(digest))).equals(bytes)).toBe(true);
      await store.close();
    });

    test('a blob of no bytes is a blob', async () => {
      const store = await openBlobs({ url: server.blobsUrl(bucket), cacheDir });
      const { digest, sizeBytes } = await store.put(new Uint8Array());
      expect([digest, sizeBytes]).toEqual([digestOf(new Uint8Array()), 0]);
      expect((await store.bytes(digest)).byteLength).toBe(0);
      await store.close();
    });

    test('a wrong secret is refused when the store is opened', async () => {
      const url = server.blobsUrl(bucket).replace(/:[^:@]+@/, ':not-the-secret@');
      await expect(openBlobs({ url, cacheDir })).rejects.toThrow();
    });

    test('a server that is not there is UNAVAILABLE', async () => {
      const refusal = await openBlobs({ url: 's3+http://key:secret-key@127.0.0.1:1/bucket', cacheDir }).catch(
        (error: unknown) => error,
      );
      expect(refusal).toMatchObject({ kind: 'unavailable' });
    });
  });
}

function clientOf(server: MinioServer): Client {
  const { hostname, port, protocol } = new URL(server.endpoint);
  const { accessKey, secretKey } = server;
  const useSSL = protocol === 'https:';
  return new Client({
    endPoint: hostname,
    port: port ? Number(port) : useSSL ? 443 : 80,
    useSSL,
    accessKey,
    secretKey,
  });
}

async function keys(client: Client, bucket: string, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const object of client.listObjectsV2(bucket, prefix, true)) found.push(object.name);
  return found;
}

async function unfinished(client: Client, bucket: string): Promise<number> {
  let count = 0;
  for await (const _ of client.listIncompleteUploads(bucket, 'incoming/', true)) count++;
  return count;
}

async function empty(client: Client, bucket: string): Promise<void> {
  for (const key of await keys(client, bucket, '').catch(() => [])) await client.removeObject(bucket, key);
}
