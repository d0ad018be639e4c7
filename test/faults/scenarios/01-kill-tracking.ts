import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { trackingEvents } from '@millrace/contracts';
import { startService, until } from '@millrace/testing';
import {
  type BatchLoad,
  type BatchLoadOptions,
  readPoints,
  startBatchLoad,
  stepsOutOfOrder,
} from '../batch-load.ts';
import { readRecord } from '../demo/records.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated, tally, together } from '../tally.ts';

const { metricsLogged } = trackingEvents;
/** Nothing listens there: events wait in the record, which is what is read. */
const noNats = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };

async function killUnderLoad(
  chance: Chance,
  kills: number,
  options: Partial<BatchLoadOptions>,
): Promise<Outcome> {
  await using tracking = await startService('tracking', { env: noNats });
  const load = await startBatchLoad({ address: tracking.address, ...options });
  try {
    for (let kill = 0; kill < kills; kill++) {
      await untilBusy(load, chance);
      await tracking.kill9();
      await tracking.restart();
    }
    await untilBusy(load, chance);
    // What is under way now is not tried again: it may be there or not.
    if (!options.forgetful) await Promise.all([tracking.kill9(), load.stop()]);
    await load.stop();
    if (!options.forgetful) await tracking.restart();
    await until(() => load.millrace.tracking.getRun({ name: load.runs[0] ?? '' }));
    const points = await readPoints(load);
    const record = await readRecord(load.millrace, 'tracking', [metricsLogged.type]);
    const logged = record.map(({ data }) => fromBinary(metricsLogged.schema, data).batch);
    const { acknowledged, batches, unanswered, surprises } = load;
    const outcomes = [tally(acknowledged, points, unanswered)];
    if (!options.forgetful) outcomes.push({ ...tally(batches, logged, unanswered), checked: 0 });
    const { lost, doubled, checked, breaches } = together(outcomes);
    return { checked, lost, doubled, breaches: [...surprises, ...breaches, ...stepsOutOfOrder(points)] };
  } finally {
    await load.stop();
    load.close();
  }
}

/** Waits until calls are answered, and then a while. */
async function untilBusy({ acknowledged }: BatchLoad, chance: Chance): Promise<void> {
  const before = acknowledged.size;
  await until(() => acknowledged.size > before, { what: 'an acknowledgement after a restart' });
  await sleep(chance.between(500, 1_500));
}

export const scenario: Scenario = {
  number: 1,
  name: 'kill -9 of tracking, again and again while 32 clients log batches and retry',
  limitMs: 150_000,
  invariant: 'each acknowledged point is there once, each other at most once, steps in order',
  run: (chance) => killUnderLoad(chance, 3, {}),
  // A try that cannot be told from the one before it counts twice, once a kill comes between commit and answer.
  control: (chance) => repeated(5, () => killUnderLoad(chance, 1, { forgetful: true })),
};
