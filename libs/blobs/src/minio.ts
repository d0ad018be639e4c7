import { mkdir } from 'node:fs/promises';
import { isCoded, notFound } from '@millrace/errors';
import { Client } from 'minio';
import { hexOf } from './digest.ts';
import { openFiles } from './files.ts';
import { createTransport, patiently, readOn } from './patience.ts';
import type { BlobInfo, BlobStore, Digest } from './port.ts';
import { createRanges } from './ranges.ts';
import { everything, gather, intake, verified } from './stream.ts';
import { copy, upload } from './upload.ts';
import { verifyEach } from './verify.ts';

export interface MinioOptions {
  readonly endPoint: string;
  readonly port: number;
  readonly useSSL: boolean;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
  /** What all keys begin with, ending in `/`, so that several stores share a bucket; empty for none. */
  readonly prefix: string;
  /** Where `localPath` keeps its copies. */
  readonly cacheDir: string;
  /** How long the server may keep silent in the middle of a request, in milliseconds. */
  readonly stallMs: number;
}

/**
 * Blobs in MinIO or another S3 store: objects `<prefix>sha256/<64 digits>`. An object gets such a name only when all of
 * its bytes are there and their digest is known, so an object under a digest is whole.
 */
export async function openMinio(options: MinioOptions): Promise<BlobStore> {
  const { bucket, prefix, cacheDir, stallMs, ...connection } = options;
  const client = new Client({ ...connection, ...createTransport(options.useSSL, stallMs) });
  const exists = () => patiently(() => client.bucketExists(bucket));
  if (!(await exists())) await patiently(() => client.makeBucket(bucket).catch(madeByAnother));
  await mkdir(cacheDir, { recursive: true });
  const cache = await openFiles(cacheDir);
  const shelf = `${prefix}sha256/`;
  const keyOf = (digest: Digest) => shelf + hexOf(digest);

  const objectOf = (digest: Digest) =>
    patiently(() => client.statObject(bucket, keyOf(digest))).catch(absent);

  async function statOf(digest: Digest): Promise<BlobInfo | undefined> {
    const found = await objectOf(digest);
    return found && { digest, sizeBytes: found.size };
  }

  async function markOf(digest: Digest): Promise<string> {
    const found = await objectOf(digest);
    if (!found) throw notFound(`blob ${digest}`);
    return `${found.size}:${found.etag}:${found.lastModified.getTime()}`;
  }

  async function* read(digest: Digest, offset = 0, length?: number): AsyncGenerator<Uint8Array> {
    const found = await statOf(digest);
    if (!found) throw notFound(`blob ${digest}`);
    const left = Math.max(0, found.sizeBytes - offset);
    const wanted = Math.min(left, length ?? left);
    yield* readOn((at, count) => client.getPartialObject(bucket, keyOf(digest), at, count), offset, wanted);
  }

  const ranges = createRanges(markOf, read);
  const target = {
    client,
    bucket,
    keyOf,
    incomingKey: (id: string) => `${prefix}incoming/${id}`,
  };

  const store: BlobStore = {
    put: (source, putOptions = {}) => upload(target, intake(source, putOptions)),
    get: (digest, range) => (range ? ranges(digest, range) : verified(digest, read(digest))),
    bytes: (digest, o) => gather(store.get(digest), o?.maxBytes),
    async localPath(digest) {
      const cached = (await cache.stat(digest)) && (await cache.localPath(digest).catch(damagedCopy));
      if (cached) return cached;
      await cache.remove(digest);
      await cache.put(store.get(digest), { expect: digest });
      return cache.localPath(digest);
    },
    stat: statOf,
    async touch(digest) {
      const info = await statOf(digest);
      const key = keyOf(digest);
      return info && copy(client, bucket, key, key, info.sizeBytes).then(() => info, absent);
    },
    list: (o = {}) =>
      patiently(async () => {
        const found: BlobInfo[] = [];
        const objects = client.listObjectsV2(bucket, shelf, true, o.after ? keyOf(o.after) : '');
        for await (const object of objects as AsyncIterable<{ name?: string; size: number }>) {
          const name = object.name?.slice(shelf.length) ?? '';
          if (/^[0-9a-f]{64}$/.test(name)) found.push({ digest: `sha256:${name}`, sizeBytes: object.size });
          if (found.length >= (o.limit ?? 1000)) break;
        }
        return found;
      }),
    async remove(digest) {
      await patiently(() => client.removeObject(bucket, keyOf(digest)));
      await cache.remove(digest);
    },
    async sweep({ unusedMs, keep, signal }) {
      const beforeMs = Date.now() - unusedMs;
      let removed = 0;
      for await (const { digest } of everything(store, signal)) {
        if (keep(digest)) continue;
        // Asked right before: a put or touch between this answer and the removal is the one thing that S3 cannot exclude.
        const found = await objectOf(digest);
        if (!found || found.lastModified.getTime() >= beforeMs) continue;
        await store.remove(digest);
        removed += 1;
      }
      return removed;
    },
    presign: (digest, { expiresInS }) => client.presignedGetObject(bucket, keyOf(digest), expiresInS),
    verify: (o = {}) => verifyEach(store, everything(store, o.signal), o.signal),
    async check() {
      await exists();
    },
    close: async () => {},
  };
  return store;
}

function absent(error: { code?: string }): undefined {
  if (error.code === 'NotFound' || error.code === 'NoSuchKey') return undefined;
  throw error;
}

/** Services that start together on an empty store all make the bucket; one of them succeeds. */
function madeByAnother(error: { code?: string }): void {
  if (error.code !== 'BucketAlreadyOwnedByYou') throw error;
}

/** A local copy that is damaged is fetched again; the store's own bytes may be sound. */
function damagedCopy(error: unknown): undefined {
  if (isCoded(error, 'data_loss')) return undefined;
  throw error;
}
