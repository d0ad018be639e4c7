import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { trackingEvents } from '@millrace/contracts';
import { missingDisk, missingStrace, spoilSync, startDisk, startService, until } from '@millrace/testing';
import { answers, readPoints, startBatchLoad } from '../batch-load.ts';
import { readRecord } from '../demo/records.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { damageOf } from '../store-file.ts';
import { tally } from '../tally.ts';

// Without NATS: what is acknowledged rests on the store alone.
const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };
const { metricsLogged } = trackingEvents;

/** Cuts the power while batches are logged, and reads what is left; with `lies`, fsync does nothing. */
async function cutUnderLoad(chance: Chance, lies = false): Promise<Outcome> {
  await using disk = await startDisk();
  const dataDir = (root: string) => join(root, 'data');
  await using before = await startService('tracking', { env, dataDir: dataDir(disk.path) });
  await using _ = lies ? await spoilSync(before.pid, 'lies') : undefined;
  const load = await startBatchLoad(before);
  try {
    await until(() => load.acknowledged.size > 0, { what: 'an acknowledgement', timeoutMs: 30_000 });
    await sleep(chance.between(1_000, 3_000));
    await before.kill9();
    const stopped = load.stop();
    await using rebooted = await disk.cut();
    const port = Number(before.address.split(':')[1]);
    await using after = await startService('tracking', { env, dataDir: dataDir(rebooted.path), port });
    await stopped;
    await answers(load);
    const present = await readPoints(load);
    const record = await readRecord(load.millrace, 'tracking', [metricsLogged.type]);
    const told = record.reduce((sum, { data }) => sum + fromBinary(metricsLogged.schema, data).pointCount, 0);
    await after.kill9();
    const outcome = tally(load.acknowledged, present, load.unanswered);
    const breaches = [...load.surprises, ...outcome.breaches, ...damageOf(after)];
    if (told < present.length)
      breaches.push(`${present.length} points are there, the events tell of ${told}`);
    return { ...outcome, breaches };
  } finally {
    await load.stop();
    load.close();
  }
}

export const scenario: Scenario = {
  number: 2,
  name: 'power cut while batches are logged, on SQLite',
  invariant: 'each acknowledged point is there once, with its event; the file is intact',
  missing: async () => (await missingDisk()) ?? (await missingStrace()),
  run: (chance) => cutUnderLoad(chance),
  // A disk that answers fsync before it has written: what is acknowledged is lost.
  control: (chance) => cutUnderLoad(chance, true),
};
