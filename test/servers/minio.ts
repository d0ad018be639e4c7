import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Found, findProgram } from './find.ts';
import { freePort, startProcess } from './process.ts';

export interface MinioServer {
  /** `http://host:port` or `https://host:port`. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** The same in the form that openBlobs takes, for a bucket. */
  blobsUrl(bucket: string): string;
  stop(): Promise<void>;
}

/**
 * A MinIO server: MINIO_URL in the environment (`http://key:secret@host:port`), or `minio` on the PATH or in the
 * cache, where install.sh puts it.
 */
export function findMinio(): Found<MinioServer> {
  const url = process.env.MINIO_URL;
  if (url)
    return { kind: 'the server of MINIO_URL', start: async () => describe(new URL(url), async () => {}) };
  const minio = findProgram('minio');
  if (minio) return { kind: 'minio', start: () => startMinio(minio) };
  return { reason: 'no MINIO_URL, no minio, and test/servers/install.sh was not run (it needs go)' };
}

async function startMinio(minio: string): Promise<MinioServer> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-minio-'));
  const port = await freePort();
  const secret = randomBytes(16).toString('hex');
  const env = { MINIO_ROOT_USER: 'millrace', MINIO_ROOT_PASSWORD: secret, MINIO_BROWSER: 'off' };
  const args = ['server', folder, '--quiet', '--address', `127.0.0.1:${port}`];
  const isReady = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/minio/health/ready`).catch(() => undefined);
    return answer?.ok === true;
  };
  const server = await startProcess(minio, args, isReady, env);
  return describe(new URL(`http://millrace:${secret}@127.0.0.1:${port}`), async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
}

function describe(url: URL, stop: () => Promise<void>): MinioServer {
  return {
    endpoint: url.origin,
    accessKey: decodeURIComponent(url.username),
    secretKey: decodeURIComponent(url.password),
    blobsUrl: (bucket) => `s3+${url.protocol}//${url.username}:${url.password}@${url.host}/${bucket}`,
    stop,
  };
}
