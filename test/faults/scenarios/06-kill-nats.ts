import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, connectBus } from '@millrace/events';
import { startNats, startService, type TestNats, until } from '@millrace/testing';
import { startBatchLoad } from '../batch-load.ts';
import { startCarelessPublisher } from '../careless.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { batchesInStream, lastInStream } from '../streams.ts';
import { repeated } from '../tally.ts';

/** Kills the server while messages come in, and starts it again. */
async function killPublishedTo(
  nats: TestNats,
  chance: Chance,
  progress: () => number | Promise<number>,
): Promise<void> {
  const before = await progress();
  await until(async () => (await progress()) > before, { what: 'something published', timeoutMs: 30_000 });
  await sleep(chance.between(0, 150));
  await nats.kill();
  await nats.restart();
}

async function killUnderLoad(chance: Chance): Promise<Outcome> {
  await using nats = await startNats();
  await using tracking = await startService('tracking', { env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' } });
  const bus = await connectBus({ url: nats.url, name: 'observer' });
  const load = await startBatchLoad({ address: tracking.address, clients: 16, restMs: 20 });
  try {
    for (let kill = 0; kill < 20; kill++)
      await killPublishedTo(nats, chance, () => lastInStream(bus, 'tracking'));
    await load.stop();
    return await batchesInStream(load, bus);
  } finally {
    await load.stop();
    load.close();
    await bus.close();
  }
}

async function killUnderCarelessPublisher(chance: Chance): Promise<Outcome> {
  await using nats = await startNats();
  const bus: Bus = await connectBus({ url: nats.url, name: 'careless' });
  const publisher = await startCarelessPublisher(bus);
  for (let kill = 0; kill < 3; kill++) await killPublishedTo(nats, chance, () => publisher.confirmed);
  const outcome = await publisher.stop();
  await bus.close();
  return outcome;
}

export const scenario: Scenario = {
  number: 6,
  name: 'kill -9 of NATS, 20 times while events are published',
  invariant: 'each acknowledged batch has its event in the stream, once and in order',
  run: killUnderLoad,
  control: (chance) => repeated(4, () => killUnderCarelessPublisher(chance)),
};
