import { createHash } from 'node:crypto';
import { damaged, tooLarge, wrongUpload } from './digest.ts';
import type { BlobInfo, BlobStore, Digest, PutOptions } from './port.ts';

/** Bytes as they come in: counted, hashed, and stopped at the limit or by the signal. */
export interface Intake {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** What came in; checks the expected digest. Call it when `chunks` has ended. */
  finish(): BlobInfo;
}

/** Wraps what is to be stored. */
export function intake(source: Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions): Intake {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source instanceof Uint8Array ? [source] : source) {
      options.signal?.throwIfAborted();
      sizeBytes += chunk.byteLength;
      if (options.maxBytes !== undefined && sizeBytes > options.maxBytes) throw tooLarge(options.maxBytes);
      hash.update(chunk);
      yield chunk;
    }
  }
  return {
    chunks: chunks(),
    finish: () => {
      const digest: Digest = `sha256:${hash.digest('hex')}`;
      if (options.expect && options.expect !== digest) throw wrongUpload(options.expect, digest);
      return { digest, sizeBytes };
    },
  };
}

/** Passes bytes on and throws at the end unless they have the digest. */
export async function* verified(
  digest: Digest,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  const actual = `sha256:${hash.digest('hex')}`;
  if (actual !== digest) throw damaged(digest, actual);
}

/** Gathers a stream in memory, up to a limit. */
export async function gather(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    parts.push(chunk);
  }
  return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts, size);
}

/** Every blob of a store, page by page. */
export async function* everything(
  store: Pick<BlobStore, 'list'>,
  signal?: AbortSignal,
): AsyncGenerator<BlobInfo> {
  for (let after: Digest | undefined; ; ) {
    const page = await store.list(after ? { after } : {});
    for (const info of page) {
      signal?.throwIfAborted();
      yield info;
    }
    after = page.at(-1)?.digest;
    if (!after) return;
  }
}
