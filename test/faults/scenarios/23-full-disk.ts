import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { trackingEvents } from '@millrace/contracts';
import { from } from '@millrace/errors';
import { connectBus } from '@millrace/events';
import { missingSmallDisk, startNats, startService, startSmallDisk, until } from '@millrace/testing';
import { readRecord } from '../demo/records.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { damageOf } from '../store-file.ts';
import { readEvents } from '../streams.ts';
import { tally } from '../tally.ts';
import { clientOf, makeRun } from '../uploads.ts';

const { metricsLogged } = trackingEvents;
const key = 'loss';

/** Logs until the disk is full and for a while after, then makes room; `boast` counts what was refused as acknowledged. */
async function fillStore(chance: Chance, boast = false): Promise<Outcome> {
  await using disk = await startSmallDisk(8);
  await using nats = await startNats();
  const env = { NATS_URL: nats.url, LOG_LEVEL: 'warn' };
  await using service = await startService('tracking', { env, dataDir: join(disk.path, 'data') });
  const millrace = clientOf(service);
  const { tracking } = millrace;
  const run = await makeRun(millrace);
  const acknowledged: string[] = [];
  const refused: string[] = [];
  const breaches: string[] = [];
  let next = 0;

  /** Logs one batch of a few hundred points, wholly or not at all. */
  async function log(): Promise<boolean> {
    const steps = Array.from({ length: chance.between(100, 900) }, () => next++);
    const metrics = steps.map((step) => ({ key, value: step, step: BigInt(step) }));
    const failure = await tracking.logBatch({ name: run, metrics }).then(() => undefined, from);
    (failure ? refused : acknowledged).push(...steps.map(String));
    if (failure && failure.code !== 'DISK_FULL') breaches.push(`a full disk is answered ${failure}`);
    return !failure;
  }
  const present = async () => {
    const found: string[] = [];
    for (let pageToken = ''; ; ) {
      const page = await tracking.getMetricHistory({ name: run, key, pageSize: 10_000, pageToken });
      found.push(...page.points.map(({ step }) => String(step)));
      pageToken = page.nextPageToken;
      if (pageToken === '') return found;
    }
  };
  const compare = async (when: string) => {
    const { lost, doubled, breaches: more } = tally(acknowledged, await present());
    if (lost + doubled + more.length > 0)
      breaches.push(`${when}: ${lost} lost, ${doubled} doubled, ${more.join()}`);
  };

  for (let i = 0; i < 5; i++) await log();
  await disk.fill(chance.between(100_000, 400_000));
  await until(async () => !(await log()), { what: 'a full disk' });
  await disk.fill();
  for (let i = 0; i < 20; i++) await Promise.all([log(), log(), log()]);
  if (refused.length === 0) breaches.push('nothing was refused');
  await compare('while the disk is full');
  if (boast) acknowledged.push(refused[0]!);

  await disk.free();
  for (let i = 0; i < 5; i++) if (!(await log())) breaches.push('a write is refused although there is room');
  const outcome = tally(acknowledged, await present());
  breaches.push(...outcome.breaches, ...(await untold(millrace, nats.url, outcome.checked - outcome.lost)));
  millrace.close();
  await service.stop();
  return { ...outcome, breaches: [...breaches, ...damageOf(service)] };
}

/** Whether the record, and in time the stream, tell of just so many points. */
async function untold(
  millrace: ReturnType<typeof clientOf>,
  natsUrl: string,
  points: number,
): Promise<string[]> {
  const record = await readRecord(millrace, 'tracking', [metricsLogged.type]);
  const told = record.reduce((sum, { data }) => sum + fromBinary(metricsLogged.schema, data).pointCount, 0);
  if (told !== points) return [`${points} points are there, the events tell of ${told}`];
  const bus = await connectBus({ url: natsUrl, name: 'observer' });
  try {
    const arrived = async () => {
      const ids = new Set((await readEvents(bus, 'tracking')).map(({ id }) => id));
      return record.every(({ id }) => ids.has(id));
    };
    await until(arrived, { what: 'every event in the stream', timeoutMs: 30_000 });
    return [];
  } catch (error) {
    return [String(error)];
  } finally {
    await bus.close();
  }
}

export const scenario: Scenario = {
  number: 23,
  name: 'the disk of the document store is full',
  invariant: 'writes are RESOURCE_EXHAUSTED, reads go on, no record is partial; with room all is well',
  missing: missingSmallDisk,
  run: (chance) => fillStore(chance),
  // A history in which something refused is taken for acknowledged.
  control: (chance) => fillStore(chance, true),
};
