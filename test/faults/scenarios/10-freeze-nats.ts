import { setTimeout as sleep } from 'node:timers/promises';
import { connectBus } from '@millrace/events';
import { startNats, startService, until } from '@millrace/testing';
import { startBatchLoad } from '../batch-load.ts';
import { startCarelessPublisher } from '../careless.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { batchesInStream } from '../streams.ts';
import { repeated } from '../tally.ts';

/** Freezes NATS for longer than a publish waits (5 s), so that nobody knows whether it was stored. */
async function freezeUnderLoad(chance: Chance): Promise<Outcome> {
  await using nats = await startNats();
  await using tracking = await startService('tracking', { env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' } });
  const load = await startBatchLoad({ address: tracking.address, clients: 16, runs: 16, restMs: 50 });
  try {
    await sleep(chance.between(500, 1_500));
    nats.pause();
    await sleep(chance.between(7_000, 9_000));
    await until(() => tracking.logs.some((line) => line.includes('did not answer in time')), {
      what: 'a publish that timed out',
      timeoutMs: 20_000,
    });
    nats.resume();
    await sleep(500);
    await load.stop();
    const bus = await connectBus({ url: nats.url, name: 'observer' });
    const outcome = await batchesInStream(load, bus);
    await bus.close();
    return outcome;
  } finally {
    await load.stop();
    load.close();
  }
}

async function freezeCarelessPublisher(chance: Chance): Promise<Outcome> {
  await using nats = await startNats();
  const bus = await connectBus({ url: nats.url, name: 'careless' });
  const publisher = await startCarelessPublisher(bus);
  await sleep(chance.between(200, 500));
  nats.pause();
  await sleep(1_500);
  nats.resume();
  const outcome = await publisher.stop();
  await bus.close();
  return outcome;
}

export const scenario: Scenario = {
  number: 10,
  name: 'NATS is frozen (SIGSTOP) for longer than a publish waits',
  invariant: 'each acknowledged batch has its event in the stream, once and in order',
  run: freezeUnderLoad,
  control: (chance) => repeated(3, () => freezeCarelessPublisher(chance)),
};
