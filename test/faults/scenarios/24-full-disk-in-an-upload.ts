import { randomBytes } from 'node:crypto';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { from } from '@millrace/errors';
import { missingSmallDisk, startService, startSmallDisk, type TestService, until } from '@millrace/testing';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { tally } from '../tally.ts';
import { clientOf, download, makeRun, uploadOf } from '../uploads.ts';

// Without NATS: uploads rest on the disk alone.
const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };
const incomingOf = ({ dataDir }: Pick<TestService, 'dataDir'>) => join(dataDir, 'tracking/blobs/incoming');

/** Uploads more than fits, looks for what is left of it, makes room and uploads again. */
async function fillInUpload(chance: Chance, leftover = false): Promise<Outcome> {
  await using disk = await startSmallDisk(12);
  await using service = await startService('tracking', { env, dataDir: join(disk.path, 'data') });
  const millrace = clientOf(service);
  const { tracking } = millrace;
  const [small, large] = [randomBytes(100_000), randomBytes(4_000_000)];
  const run = await makeRun(millrace);
  await tracking.uploadArtifact(uploadOf(run, 'small', small));
  const breaches: string[] = [];

  await disk.fill(Math.floor(large.length * (0.3 + 0.4 * chance.random())));
  for (let attempt = 0; attempt < 3; attempt++) {
    const failure = await tracking
      .uploadArtifact(uploadOf(run, 'large', large, 'large'))
      .then(() => undefined, from);
    if (failure?.code !== 'DISK_FULL' || failure.kind !== 'resource_exhausted')
      breaches.push(`an upload to a full disk is answered ${failure ?? 'OK'}`);
  }
  if (leftover) await writeFile(join(incomingOf(service), 'left'), 'half of it');
  breaches.push(...(await leftIn(service)));
  const paths = async () =>
    (await tracking.listArtifacts({ parent: run })).entries.map(({ path }) => path).join();
  if ((await paths()) !== 'small') breaches.push(`visible after a failed upload: ${await paths()}`);
  if (!small.equals(await download(millrace, run, 'small'))) breaches.push('what was there cannot be read');

  await disk.free();
  const present: string[] = [];
  await tracking.uploadArtifact(uploadOf(run, 'large', large, 'large'));
  for (const [path, bytes] of [
    ['small', small],
    ['large', large],
  ] as const)
    if (bytes.equals(await download(millrace, run, path))) present.push(path);
  millrace.close();
  breaches.push(...(await killInUpload(service)));
  await service.kill9();
  return { ...tally(['small', 'large'], present), breaches };
}

/** A crash in the middle of an upload leaves a file, which is swept once it is old. */
async function killInUpload(service: TestService): Promise<string[]> {
  const millrace = clientOf(service);
  const run = await makeRun(millrace);
  const bytes = randomBytes(1_000_000);
  async function* stuck() {
    yield* uploadOf(run, 'never', bytes);
    await sleep(20_000, undefined, { ref: false });
  }
  const upload = millrace.tracking.uploadArtifact(stuck()).then(
    () => 'OK',
    () => 'failed',
  );
  await until(async () => (await readdir(incomingOf(service))).length > 0, { what: 'an upload under way' });
  await service.kill9();
  await upload;
  millrace.close();
  const left = await readdir(incomingOf(service));
  const old = new Date(Date.now() - 2 * 3_600_000);
  for (const name of left) await utimes(join(incomingOf(service), name), old, old);
  await service.restart();
  return leftIn(service);
}

/** Temporary files of uploads that are over. */
async function leftIn(service: TestService): Promise<string[]> {
  const left = await readdir(incomingOf(service));
  return left.length > 0 ? [`${left.length} temporary files are left`] : [];
}

export const scenario: Scenario = {
  number: 24,
  name: 'the disk is full half way through an upload',
  invariant: 'the upload fails as RESOURCE_EXHAUSTED and leaves nothing; with room it succeeds',
  missing: missingSmallDisk,
  run: (chance) => fillInUpload(chance),
  // A history in which a failed upload left its file.
  control: (chance) => fillInUpload(chance, true),
};
