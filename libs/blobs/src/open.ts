import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CodedError, invalidField } from '@millrace/errors';
import { openFiles } from './files.ts';
import type { BlobStore } from './port.ts';

export interface OpenBlobsOptions {
  /**
   * `file:<folder>`, or `s3+http://key:secret@host:port/bucket` (`s3+https` for TLS), with `/<prefix>` behind the bucket
   * where several stores share one.
   */
  readonly url: string;
  /** Where a remote store keeps local copies. @default `.millrace/blob-cache` */
  readonly cacheDir?: string;
  /**
   * Called once when the disk failed to confirm a write (files only). The store takes no more; the process should end,
   * for only a restart tells what is on the disk.
   */
  readonly onFatal?: (error: CodedError) => void;
  /** How long a remote store may keep silent in the middle of a request, in milliseconds. @default 30000 */
  readonly stallMs?: number;
}

/** Opens the object store a URL names. INVALID_FIELD `BLOBS_URL` for any other text, which is not repeated: it may hold a secret. */
export async function openBlobs(options: OpenBlobsOptions): Promise<BlobStore> {
  if (options.url.startsWith('file:')) {
    const path = options.url.startsWith('file://')
      ? fileURLToPath(options.url)
      : options.url.slice('file:'.length);
    return openFiles(path, options.onFatal);
  }
  const url = URL.parse(options.url.replace(/^s3\+/, ''));
  const [, bucket = '', path = ''] = /^\/([^/]+)\/?(.*?)\/?$/.exec(url?.pathname ?? '') ?? [];
  if (
    !url ||
    !/^s3\+https?:/.test(options.url) ||
    !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) ||
    !/^([A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*)?$/.test(path)
  ) {
    throw invalidField(
      'BLOBS_URL',
      'is no object store',
      'file:<folder> or s3+http(s)://key:secret@host:port/bucket/prefix',
    );
  }
  const useSSL = url.protocol === 'https:';
  // Loaded only when asked for: a suite on one machine does not pay for the client at start.
  const { openMinio } = await import('./minio.ts');
  return openMinio({
    endPoint: url.hostname,
    port: url.port ? Number(url.port) : useSSL ? 443 : 80,
    useSSL,
    accessKey: decodeURIComponent(url.username),
    secretKey: decodeURIComponent(url.password),
    bucket,
    prefix: path === '' ? '' : `${path}/`,
    cacheDir: options.cacheDir ?? join('.millrace', 'blob-cache'),
    stallMs: options.stallMs ?? 30_000,
  });
}
