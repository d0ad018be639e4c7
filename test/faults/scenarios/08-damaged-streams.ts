import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { integrityEvents, streamOf, trackingEvents } from '@millrace/contracts';
import { type Bus, connectBus, handler, noLog, subscribe } from '@millrace/events';
import { startNats, startService, type TestNats, type TestService, until } from '@millrace/testing';
import { type BatchLoad, startBatchLoad } from '../batch-load.ts';
import { readRecord } from '../demo/records.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { flipBit } from '../stream-damage.ts';
import { batchesInStream, lastInStream } from '../streams.ts';
import { repeated, tally, together } from '../tally.ts';

const { metricsLogged } = trackingEvents;
const stream = streamOf('tracking').name;
/** How soon a loss must be noticed and made good. */
const noticedMs = 60_000;

type Spoil = (nats: TestNats, chance: Chance) => void;

const deleteStore: Spoil = ({ dataDir }) => rmSync(join(dataDir, 'jetstream'), { recursive: true });
const flip: Spoil = (nats, chance) => flipBit(nats, stream, chance);

/** Spoils what NATS keeps, several times under load; a consumer listens all the time. */
async function spoilUnderLoad(chance: Chance): Promise<Outcome> {
  await using nats = await startNats();
  await using tracking = await startService('tracking', { env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' } });
  const bus = await connectBus({ url: nats.url, name: 'observer' });
  const load = await startBatchLoad({ address: tracking.address, clients: 8, runs: 8, restMs: 30 });
  const handled = new Set<string>();
  const note = handler(metricsLogged, async ({ data }) => void handled.add(data.batch));
  const noting = await subscribe(bus, { durable: 'noting', on: [note], log: noLog });
  const breaches: string[] = [];
  try {
    for (const [index, spoil] of [flip, deleteStore, flip].entries()) {
      await until(async () => (await lastInStream(bus, 'tracking')) > 0, { what: 'something to spoil' });
      await sleep(chance.between(1_000, 2_000));
      await nats.kill();
      spoil(nats, chance);
      await nats.restart();
      const told = { timeoutMs: noticedMs, what: `the word of a refilled stream after loss ${index + 1}` };
      await until(async () => (await refills(load)) > index, told).catch((error) =>
        breaches.push(String(error)),
      );
    }
    await load.stop();
    const streamed = await batchesInStream(load, bus, { ordered: false });
    const all = () => [...load.batches].every((batch) => handled.has(batch));
    await until(all, { timeoutMs: 30_000 }).catch(() => {});
    const heard = { ...tally(load.batches, handled, load.unanswered), checked: 0 };
    return together([streamed, heard, { checked: 0, lost: 0, doubled: 0, breaches }]);
  } finally {
    await load.stop();
    await noting.stop();
    load.close();
    await bus.close();
  }
}

/** How often tracking told that its stream had lost events and has them again. */
async function refills({ millrace }: BatchLoad): Promise<number> {
  return (await readRecord(millrace, 'tracking', [integrityEvents('tracking').streamRefilled.type])).length;
}

/** The same loss, and nobody there to notice it. */
async function spoilUnwatched(chance: Chance): Promise<Outcome> {
  await using nats = await startNats();
  await using tracking: TestService = await startService('tracking', { env: { NATS_URL: nats.url } });
  const bus: Bus = await connectBus({ url: nats.url, name: 'observer' });
  const load = await startBatchLoad({ address: tracking.address, clients: 8, runs: 8, restMs: 30 });
  await until(() => load.batches.size >= 50, { what: 'batches', timeoutMs: 30_000 });
  await load.stop();
  await batchesInStream(load, bus);
  await tracking.kill9();
  await nats.kill();
  flip(nats, chance);
  await nats.restart();
  const outcome = await batchesInStream(load, bus, { lagMs: 1_000 });
  load.close();
  await bus.close();
  return outcome;
}

export const scenario: Scenario = {
  number: 8,
  name: 'the store of NATS deleted, and bits flipped in it, under load',
  invariant: 'noticed and told within a minute; the stream and its consumers get everything again',
  run: spoilUnderLoad,
  control: (chance) => repeated(3, () => spoilUnwatched(chance)),
};
