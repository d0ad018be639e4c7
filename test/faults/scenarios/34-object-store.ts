import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCoded } from '@millrace/errors';
import { connect, type Millrace } from '@millrace/sdk';
import { startFaultProxy, startService, until } from '@millrace/testing';
import { Client } from 'minio';
import { findMinio } from '../../servers/minio.ts';
import { startBusyFront } from '../busy-store.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';

const mebi = 1024 ** 2;
const bucket = 'faults';
/** After these a large file gets through also where its parts take longer than the time between two cuts. */
const mostCuts = 25;

interface File {
  readonly path: string;
  readonly bytes: Buffer;
  readonly digest: string;
}

/** A tracking service whose artifacts are in MinIO, behind a front that is busy and a network that fails. */
async function uploads(chance: Chance, large: readonly number[], spoilHistory: boolean): Promise<Outcome> {
  const found = findMinio();
  if ('reason' in found) throw new Error(found.reason);
  const server = await found.start();
  await using front = await startBusyFront(server.endpoint, () => chance.random());
  await using proxy = await startFaultProxy(front.address);
  const url = new URL(server.blobsUrl(bucket).replace(/^s3\+/, ''));
  url.host = proxy.address;
  const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn', BLOBS_URL: `s3+${url}` };
  await using service = await startService('tracking', { env });
  const services = { tracking: service.address };
  const millrace = connect({ endpoints: { services }, project: 'default', deadlineMs: 30_000 });
  const breaches: string[] = [];
  const insist = (holds: boolean, what: string) => void (holds || breaches.push(what));
  const { tracking, parent } = millrace;
  const run = (await tracking.createRun({ parent, run: {} })).run?.name ?? '';
  const sizes = [50_000, ...large, ...Array.from({ length: 36 }, () => chance.between(1, 200_000))];
  const files = sizes.map((size, i): File => {
    const bytes = randomBytes(size);
    return { path: `file-${i}`, bytes, digest: digestOf(bytes) };
  });
  const acknowledged = (file: File) =>
    upload(millrace, run, file).then(
      () => true,
      (error: unknown) => {
        // Only these say that it may be tried again.
        insist(isCoded(error, 'unavailable') || isCoded(error, 'deadline_exceeded'), String(error));
        return false;
      },
    );

  try {
    // Uploads while the store is busy and connections break; each is tried until it is acknowledged.
    front.refuse(0.25);
    let cuts = 0;
    const cutting = setInterval(() => {
      if (cuts++ < mostCuts) proxy.cut();
    }, 400);
    await Promise.all(
      files.map(async (file) => {
        for (let tries = 0; tries < 40; tries++) {
          if (await acknowledged(file)) return;
          await sleep(chance.between(50, 200));
        }
        breaches.push(`${file.path} could not be uploaded`);
      }),
    );
    clearInterval(cutting);
    insist(front.refused > 0, 'no request was refused');

    // A part of the bytes, or other bytes, under the digest of the whole.
    const [whole] = files;
    for (const bytes of [whole!.bytes.subarray(1), Buffer.alloc(whole!.bytes.length)]) {
      const wrong = { path: 'wrong', bytes, digest: whole!.digest };
      insist(
        !(await upload(millrace, run, wrong).then(
          () => true,
          () => false,
        )),
        'other bytes were taken',
      );
    }
    insist(!(await isThere(millrace, run, { ...whole!, path: 'wrong' })), 'what was refused is there');

    // Reads that break off again and again go on where they stopped, and come to the same bytes.
    front.refuse(0.05);
    proxy.cutAfter(chance.between(mebi, 2 * mebi));
    proxy.cut();
    for (const { path, digest } of files.slice(0, 3)) {
      const read = await download(millrace, run, path);
      insist(read === digest, `reading ${path} again and again gave ${read}`);
    }
    proxy.cutAfter(Number.POSITIVE_INFINITY);
    // One that stands still for a while does so too.
    proxy.freeze('down');
    const slow = download(millrace, run, files[1]!.path);
    await sleep(1_000);
    proxy.thaw();
    insist((await slow) === files[1]!.digest, 'a read that stood still was read wrongly');
    front.refuse(0);

    // Bytes that were exchanged in the store itself.
    const { hostname: endPoint, port } = new URL(server.endpoint);
    const { accessKey, secretKey } = server;
    const direct = new Client({ endPoint, port: Number(port), useSSL: false, accessKey, secretKey });
    const victim = files.at(-1)!;
    const key = await keyOf(direct, victim.digest);
    const spoiled = Buffer.from(victim.bytes);
    spoiled[0] = spoiled[0]! ^ 1;
    await direct.putObject(bucket, key, spoiled);
    insist(
      (await download(millrace, run, victim.path)) === 'DIGEST_MISMATCH',
      'exchanged bytes were handed out',
    );
    if (!spoilHistory) await upload(millrace, run, victim);

    let lost = 0;
    for (const { path, digest } of files) {
      const read = await until(() => download(millrace, run, path));
      if (read !== digest) lost++;
    }
    return { checked: files.length, lost, doubled: 0, breaches };
  } finally {
    millrace.close();
    await server.stop();
  }
}

const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function upload({ tracking }: Millrace, run: string, { path, bytes, digest }: File): Promise<void> {
  async function* parts() {
    yield { part: { case: 'header', value: { run, path, digest } } } as const;
    for (let at = 0; at < bytes.length; at += mebi)
      yield { part: { case: 'chunk', value: bytes.subarray(at, at + mebi) } } as const;
  }
  await tracking.uploadArtifact(parts());
}

async function isThere({ tracking }: Millrace, run: string, { path, digest }: File): Promise<boolean> {
  const found = await tracking.getArtifact({ parent: run, path }).catch(() => undefined);
  return found?.artifact?.digest === digest;
}

/** The digest of what is read, or the code of the refusal. */
async function download({ tracking }: Millrace, run: string, path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const { chunk } of tracking.downloadArtifact({ parent: run, path })) hash.update(chunk);
    return `sha256:${hash.digest('hex')}`;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

async function keyOf(client: Client, digest: string): Promise<string> {
  for await (const { name } of client.listObjectsV2(bucket, '', true) as AsyncIterable<{ name?: string }>)
    if (name?.endsWith(digest.slice('sha256:'.length))) return name;
  throw new Error(`no object of ${digest}`);
}

export const scenario: Scenario = {
  number: 34,
  name: 'the object store answers 503, breaks off, freezes, and has other bytes than it was given',
  invariant: 'what was acknowledged is read back right; other bytes are refused, coming in and going out',
  missing: async () => {
    const found = findMinio();
    return 'reason' in found ? found.reason : undefined;
  },
  run: (chance) => uploads(chance, [3 * mebi, 20 * mebi], false),
  // What was exchanged in the store is not put right.
  control: (chance) => uploads(chance, [], true),
};
