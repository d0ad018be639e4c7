import { setTimeout as sleep } from 'node:timers/promises';
import { startFaultProxy, startService, until } from '@millrace/testing';
import { findMongo } from '../../servers/mongodb.ts';
import { readPoints, startBatchLoad, stepsOutOfOrder } from '../batch-load.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated, tally } from '../tally.ts';

/** Writes through a line that breaks: what was done and not confirmed must be found again and not be done twice. */
async function cutOff(chance: Chance, faults: number, forgetful: boolean): Promise<Outcome> {
  const found = findMongo();
  if ('reason' in found) throw new Error(found.reason);
  const server = await found.start();
  await using proxy = await startFaultProxy(new URL(server.databaseUrl('x')).host);
  const url = new URL(server.databaseUrl(`faults-${chance.seed}`));
  url.host = proxy.address;
  const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn', MONGODB_URL: url.href };
  await using tracking = await startService('tracking', { env });
  const load = await startBatchLoad({ address: tracking.address, clients: 16, forgetful });
  try {
    for (let fault = 0; fault < faults; fault++) {
      const before = load.acknowledged.size;
      await until(() => load.acknowledged.size > before, { what: 'an acknowledgement', timeoutMs: 30_000 });
      await sleep(chance.between(100, 400));
      // What the server says is lost with the connection, or only late: the write may have been done.
      proxy.freeze('down');
      await sleep(chance.between(5, 30));
      if (forgetful || chance.random() < 0.7) proxy.cut();
      proxy.thaw();
    }
    await load.stop();
    const points = await readPoints(load);
    const outcome = tally(load.acknowledged, points, load.unanswered);
    return { ...outcome, breaches: [...load.surprises, ...outcome.breaches, ...stepsOutOfOrder(points)] };
  } finally {
    await load.stop();
    load.close();
    await tracking.stop();
    await server.stop();
  }
}

export const scenario: Scenario = {
  number: 33,
  name: 'connections to MongoDB break while answers to writes are on their way',
  invariant: 'each acknowledged point is there once, each other at most once, steps in order',
  missing: async () => {
    const found = findMongo();
    return 'reason' in found ? found.reason : undefined;
  },
  limitMs: 120_000,
  run: (chance) => cutOff(chance, 20, false),
  // The same without request ids, by which a try could be told from the one before it.
  control: (chance) => repeated(3, () => cutOff(chance, 20, true)),
};
