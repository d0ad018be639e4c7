import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { from } from '@millrace/errors';
import {
  missingDisk,
  missingStrace,
  type SyncFault,
  spoilSync,
  startDisk,
  startService,
  type TestService,
  until,
} from '@millrace/testing';
import { answers, readPoints, startBatchLoad } from '../batch-load.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { damageOf } from '../store-file.ts';
import { tally, together } from '../tally.ts';
import { clientOf, download, makeRun, uploadOf } from '../uploads.ts';

// Without NATS: what is acknowledged rests on the disk alone.
const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };
const dataDir = (root: string) => join(root, 'data');
const portOf = ({ address }: TestService) => Number(address.split(':')[1]);

/** Waits for a service to end by itself, as one must whose disk failed; says what it did instead. */
async function endOf(service: TestService, mostMs = 30_000): Promise<string[]> {
  const late = sleep(mostMs, 'it runs on' as const, { ref: false });
  const code = await Promise.race([service.ended(), late]);
  await service.kill9();
  return typeof code === 'number' && code !== 0 ? [] : [`after a failed fsync the service: ${code}`];
}

/** The disk fails while batches are logged; then the power is cut, so that only what was synced is left. */
async function failUnderLoad(chance: Chance, fault: SyncFault): Promise<Outcome> {
  await using disk = await startDisk();
  await using before = await startService('tracking', { env, dataDir: dataDir(disk.path) });
  const load = await startBatchLoad(before);
  try {
    await until(() => load.acknowledged.size > 0, { what: 'an acknowledgement' });
    await sleep(chance.between(300, 1_500));
    const failing = await spoilSync(before.pid, fault);
    const breaches = await endOf(before, fault === 'lies' ? 2_000 : undefined);
    await failing.stop();
    const stopped = load.stop();
    await using rebooted = await disk.cut();
    const place = { env, dataDir: dataDir(rebooted.path), port: portOf(before) };
    await using after = await startService('tracking', place);
    await stopped;
    await answers(load);
    const outcome = tally(load.acknowledged, await readPoints(load), load.unanswered);
    await after.kill9();
    return {
      ...outcome,
      breaches: [...breaches, ...load.surprises, ...outcome.breaches, ...damageOf(after)],
    };
  } finally {
    await load.stop();
    load.close();
  }
}

/** The disk fails an upload; what was uploaded before is there, what failed is not. */
async function failUpload(fault: SyncFault): Promise<Outcome> {
  await using disk = await startDisk();
  await using service = await startService('tracking', { env, dataDir: dataDir(disk.path) });
  const millrace = clientOf(service);
  const bytes = randomBytes(300_000);
  const run = await makeRun(millrace);
  await millrace.tracking.uploadArtifact(uploadOf(run, 'before', bytes));
  const failing = await spoilSync(service.pid, fault);
  const answer = await millrace.tracking.uploadArtifact(uploadOf(run, 'during', randomBytes(300_000))).then(
    () => 'OK',
    (error: unknown) => from(error).kind,
  );
  const breaches = await endOf(service);
  await failing.stop();
  if (answer !== 'unavailable') breaches.push(`an upload that the disk failed is answered ${answer}`);
  await using rebooted = await disk.cut();
  const place = { env, dataDir: dataDir(rebooted.path), port: portOf(service) };
  millrace.close();
  await using again = await startService('tracking', place);
  const reader = clientOf(again);
  const { entries } = await reader.tracking.listArtifacts({ parent: run });
  const paths = entries.map(({ path }) => path);
  const same = paths.includes('before') && bytes.equals(await download(reader, run, 'before'));
  reader.close();
  await again.kill9();
  return { ...tally(['before'], same ? paths : []), breaches };
}

export const scenario: Scenario = {
  number: 25,
  name: 'fsync fails with EIO under load, and in an upload',
  invariant: 'the service takes no more and ends with an error; nothing acknowledged is lost',
  missing: async () => (await missingDisk()) ?? (await missingStrace()),
  run: async (chance) => together([await failUnderLoad(chance, 'fails'), await failUpload('fails')]),
  // A disk that does not tell: the service goes on, and acknowledges what is lost.
  control: (chance) => failUnderLoad(chance, 'lies'),
};
