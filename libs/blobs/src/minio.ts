import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { notFound, unavailable } from '@millrace/errors';
import { Client } from 'minio';
import { hexOf } from './digest.ts';
import { openFiles } from './files.ts';
import type { BlobInfo, BlobStore, Digest } from './port.ts';
import { gather, intake, isIntact, verified } from './stream.ts';

export interface MinioOptions {
  readonly endPoint: string;
  readonly port: number;
  readonly useSSL: boolean;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
  /** Where `localPath` keeps its copies. */
  readonly cacheDir: string;
}

const partBytes = 16 * 1024 * 1024;

/**
 * Blobs in MinIO or another S3 store: objects `sha256/<64 digits>`. An upload streams to `incoming/<uuid>` in parts while
 * it is hashed, and is copied to its name by the server when its digest is known, so an object under a digest is whole.
 */
export async function openMinio(options: MinioOptions): Promise<BlobStore> {
  const { bucket, cacheDir, ...connection } = options;
  const client = new Client({ ...connection, partSize: partBytes });
  const call = <T>(work: Promise<T>) => work.catch(rethrow);
  if (!(await call(client.bucketExists(bucket)))) await call(client.makeBucket(bucket));
  await mkdir(cacheDir, { recursive: true });
  const cache = await openFiles(cacheDir);
  const keyOf = (digest: Digest) => `sha256/${hexOf(digest)}`;

  async function statOf(digest: Digest): Promise<BlobInfo | undefined> {
    const found = await client.statObject(bucket, keyOf(digest)).catch(absent);
    return found && { digest, sizeBytes: found.size };
  }

  async function* read(digest: Digest, offset = 0, length?: number): AsyncGenerator<Uint8Array> {
    const found = await statOf(digest);
    if (!found) throw notFound(`blob ${digest}`);
    const left = Math.max(0, found.sizeBytes - offset);
    const wanted = Math.min(left, length ?? left);
    if (wanted === 0) return;
    yield* await call(client.getPartialObject(bucket, keyOf(digest), offset, wanted));
  }

  const store: BlobStore = {
    async put(source, putOptions = {}) {
      const key = `incoming/${randomUUID()}`;
      const input = intake(source, putOptions);
      try {
        await call(client.putObject(bucket, key, Readable.from(input.chunks, { objectMode: false })));
        const info = input.finish();
        if (!(await statOf(info.digest)))
          await call(client.copyObject(bucket, keyOf(info.digest), `/${bucket}/${key}`));
        return info;
      } finally {
        await client.removeObject(bucket, key).catch(() => {});
      }
    },
    get: (digest, range) =>
      range ? read(digest, range.offset, range.length) : verified(digest, read(digest)),
    bytes: (digest, o) => gather(store.get(digest), o?.maxBytes),
    async localPath(digest) {
      if (!(await cache.stat(digest))) await cache.put(store.get(digest), { expect: digest });
      return cache.localPath(digest);
    },
    stat: statOf,
    async list(o = {}) {
      const found: BlobInfo[] = [];
      const objects = client.listObjectsV2(bucket, 'sha256/', true, o.after ? keyOf(o.after) : '');
      for await (const object of objects as AsyncIterable<{ name?: string; size: number }>) {
        const name = object.name?.slice('sha256/'.length) ?? '';
        if (/^[0-9a-f]{64}$/.test(name)) found.push({ digest: `sha256:${name}`, sizeBytes: object.size });
        if (found.length >= (o.limit ?? 1000)) break;
      }
      return found;
    },
    async remove(digest) {
      await call(client.removeObject(bucket, keyOf(digest)));
      await cache.remove(digest);
    },
    presign: (digest, { expiresInS }) => call(client.presignedGetObject(bucket, keyOf(digest), expiresInS)),
    async *verify(o = {}) {
      for (let after: Digest | undefined; ; ) {
        const page = await store.list(after ? { after } : {});
        for (const { digest } of page) {
          o.signal?.throwIfAborted();
          yield { digest, ok: await isIntact(digest, read(digest)) };
        }
        after = page.at(-1)?.digest;
        if (!after) return;
      }
    },
    async check() {
      await call(client.bucketExists(bucket));
    },
    close: async () => {},
  };
  return store;
}

function absent(error: { code?: string }): undefined {
  if (error.code === 'NotFound' || error.code === 'NoSuchKey') return undefined;
  return rethrow(error);
}

/** Errors of our own pass; the store's server errors and lost connections become `unavailable`. */
function rethrow(error: unknown): never {
  const { code = '', kind } = error as { code?: string; kind?: string };
  if (kind === undefined && /^(E[A-Z]+|SlowDown|ServiceUnavailable|InternalError)$/.test(code)) {
    throw unavailable('the object store', { cause: error });
  }
  throw error;
}
