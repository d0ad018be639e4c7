import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { trackingEvents } from '@millrace/contracts';
import { startService, until } from '@millrace/testing';
import { answers, type BatchLoad, readPoints, startBatchLoad, stepsOutOfOrder } from '../batch-load.ts';
import { readRecord } from '../demo/records.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated, tally, together } from '../tally.ts';

const { metricsLogged } = trackingEvents;
/** Nothing listens there: events wait in the record, which is what is read. */
const noNats = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };

async function killUnderLoad(chance: Chance): Promise<Outcome> {
  await using tracking = await startService('tracking', { env: noNats });
  const load = await startBatchLoad({ address: tracking.address });
  try {
    for (let kill = 0; kill < 3; kill++) {
      await untilBusy(load, chance);
      await tracking.kill9();
      await tracking.restart();
    }
    await untilBusy(load, chance);
    // What is under way now is not tried again: it may be there or not.
    await Promise.all([tracking.kill9(), load.stop()]);
    await tracking.restart();
    const points = await lookForPoints(load);
    const record = await readRecord(load.millrace, 'tracking', [metricsLogged.type]);
    const logged = record.map(({ data }) => fromBinary(metricsLogged.schema, data).batch);
    return together([points, { ...tally(load.batches, logged, load.unanswered), checked: 0 }]);
  } finally {
    await load.stop();
    load.close();
  }
}

/** Kills it between a commit and its answers; no try can be told from the one before it. */
async function killForgetful(chance: Chance): Promise<Outcome> {
  const race = { point: 'documents.after-commit', nth: chance.between(100, 200), signal: 'kill' } as const;
  await using tracking = await startService('tracking', { env: noNats, race });
  const load = await startBatchLoad({ address: tracking.address, forgetful: true });
  try {
    await tracking.reached;
    await tracking.kill9();
    await tracking.restart();
    await untilBusy(load, chance);
    await load.stop();
    return await lookForPoints(load);
  } finally {
    await load.stop();
    load.close();
  }
}

/** Reads the points through the API, once it answers. */
async function lookForPoints(load: BatchLoad): Promise<Outcome> {
  await answers(load);
  const points = await readPoints(load);
  const found = tally(load.acknowledged, points, load.unanswered);
  return { ...found, breaches: [...load.surprises, ...found.breaches, ...stepsOutOfOrder(points)] };
}

/** Waits until calls are answered, and then a while. */
async function untilBusy({ acknowledged }: BatchLoad, chance: Chance): Promise<void> {
  const before = acknowledged.size;
  await until(() => acknowledged.size > before, {
    what: 'an acknowledgement after a restart',
    timeoutMs: 30_000,
  });
  await sleep(chance.between(500, 1_500));
}

export const scenario: Scenario = {
  number: 1,
  name: 'kill -9 of tracking, again and again while 32 clients log batches and retry',
  invariant: 'each acknowledged point is there once, each other at most once, steps in order',
  run: killUnderLoad,
  // The commit may be one that nobody waits for.
  control: (chance) => repeated(4, () => killForgetful(chance)),
};
