import { randomUUID } from 'node:crypto';
import { type Client, CopyDestinationOptions, CopySourceOptions } from 'minio';
import { patiently } from './patience.ts';
import type { BlobInfo } from './port.ts';
import type { Intake } from './stream.ts';

/** What an upload needs to know of the store. */
export interface UploadTarget {
  readonly client: Client;
  readonly bucket: string;
  /** The key under which a blob is kept. */
  keyOf(digest: BlobInfo['digest']): string;
  /** The key of an upload under way. */
  incomingKey(id: string): string;
}

const partBytes = 16 * 1024 * 1024;
/** S3 copies at most this much in one request; more goes range by range. */
const maxCopyBytes = 5 * 1024 ** 3;
const copyPartBytes = 1024 ** 3;

/**
 * Stores what comes in. What fits into one part is hashed first and put under its name in one request. More goes up in
 * parts under `incoming/` while it is hashed, and the server copies it to its name. The parts are made here: the
 * client's own stream upload neither answers nor cleans up when its source fails, and refuses a source of no bytes.
 * What is there already is written again: its bytes may have been damaged.
 */
export async function upload(target: UploadTarget, input: Intake): Promise<BlobInfo> {
  const { client, bucket, keyOf } = target;
  const parts = inParts(input.chunks);
  const first = await parts.next();
  const head = first.done ? Buffer.alloc(0) : first.value;
  if (head.byteLength < partBytes) {
    const info = input.finish();
    await patiently(() => client.putObject(bucket, keyOf(info.digest), head));
    return info;
  }
  const incoming = target.incomingKey(randomUUID());
  try {
    const info = await multipart(client, bucket, incoming, async (put) => {
      await put(head);
      for await (const part of parts) await put(part);
      // Before the upload is completed: bytes that are refused leave nothing.
      return input.finish();
    });
    await copy(client, bucket, incoming, keyOf(info.digest), info.sizeBytes);
    return info;
  } finally {
    await client.removeObject(bucket, incoming).catch(() => {});
  }
}

/** Sends one part: bytes, or headers that name a range to copy. */
type SendPart = (bytes: Buffer | undefined, headers?: Record<string, string>) => Promise<void>;

/** An upload in parts, one after the other; aborted when `send` throws. */
async function multipart<T>(
  client: Client,
  bucket: string,
  key: string,
  send: (put: SendPart) => Promise<T>,
): Promise<T> {
  const uploadID = await patiently(() => client.initiateNewMultipartUpload(bucket, key, {}));
  try {
    const done: { part: number; etag: string }[] = [];
    const sent = await send(async (bytes, headers = {}) => {
      const partNumber = done.length + 1;
      const part = { bucketName: bucket, objectName: key, uploadID, partNumber, headers };
      const { etag } = await patiently(() => client.uploadPart(part, bytes));
      done.push({ part: partNumber, etag });
    });
    // Tried once: a second try of what was done already is refused. Whoever uploads starts again.
    await patiently(() => client.completeMultipartUpload(bucket, key, uploadID, done), 1);
    return sent;
  } catch (error) {
    await client.abortMultipartUpload(bucket, key, uploadID).catch(() => {});
    throw error;
  }
}

/** Copies an object, also onto itself, which makes it young. */
export async function copy(
  client: Client,
  bucket: string,
  from: string,
  to: string,
  size: number,
): Promise<void> {
  const source = `/${bucket}/${from}`;
  if (size <= maxCopyBytes) {
    // Onto itself S3 copies only what gets other metadata.
    const target = { Bucket: bucket, Object: to, MetadataDirective: 'REPLACE' as const };
    const sourceOptions = new CopySourceOptions({ Bucket: bucket, Object: from });
    await patiently(() => client.copyObject(sourceOptions, new CopyDestinationOptions(target)));
    return;
  }
  await multipart(client, bucket, to, async (put) => {
    for (let start = 0; start < size; start += copyPartBytes) {
      const range = `bytes=${start}-${Math.min(start + copyPartBytes, size) - 1}`;
      await put(undefined, { 'x-amz-copy-source': source, 'x-amz-copy-source-range': range });
    }
  });
}

/** Chunks of any size as parts of one size; the last one may be smaller. */
async function* inParts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.byteLength > 0; ) {
      const piece = rest.subarray(0, partBytes - size);
      waiting.push(piece);
      size += piece.byteLength;
      rest = rest.subarray(piece.byteLength);
      if (size < partBytes) continue;
      yield Buffer.concat(waiting, size);
      waiting = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.concat(waiting, size);
}
