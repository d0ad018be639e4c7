import { setTimeout as sleep } from 'node:timers/promises';
import { connectBus } from '@millrace/events';
import { startNats, startService, until } from '@millrace/testing';
import { startBatchLoad } from '../batch-load.ts';
import { memoryUnreadable, watchMemory } from '../memory.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { batchesInStream, forgetBacklog } from '../streams.ts';

/** How much the memory of tracking may grow while its events wait on disk, in MiB. */
const mayGrowMb = 64;

/** Little room, so that what stays is not mistaken for what nobody has cleared away yet. */
const smallHeap = '--max-old-space-size=96';

const clients = 16;

/** Logs batches in peace for at least two seconds, then while there is no NATS, and looks whether all events come in the end. */
async function endure(awayMs: number, spoil = false): Promise<Outcome> {
  await using nats = await startNats();
  const env = { NATS_URL: nats.url, LOG_LEVEL: 'warn', NODE_OPTIONS: smallHeap };
  await using tracking = await startService('tracking', { env });
  const load = await startBatchLoad({ address: tracking.address, clients, runs: 16, restMs: 50 });
  try {
    await sleep(2_000);
    await until(() => load.batches.size >= 300, { what: 'batches in peace', timeoutMs: 30_000 });
    await nats.kill();
    const [before, peace] = [load.batches.size, watchMemory(tracking.pid)()];
    const memory = watchMemory(tracking.pid);
    await sleep(awayMs);
    // More than were under way when it went.
    await until(() => load.batches.size > before + clients, {
      what: 'batches while NATS is away',
      timeoutMs: 30_000,
    });
    if (spoil) {
      await tracking.kill9();
      await forgetBacklog(tracking, 'tracking');
      await tracking.restart();
    }
    await nats.restart();
    await sleep(500);
    await load.stop();
    const bus = await connectBus({ url: nats.url, name: 'observer' });
    const outcome = await batchesInStream(load, bus, spoil ? { lagMs: 3_000 } : {});
    await bus.close();
    const grown = memory() - peace;
    const breaches = [...outcome.breaches];
    if (load.failures > 0 && !spoil) breaches.push(`${load.failures} writes failed while NATS was away`);
    if (grown > mayGrowMb) breaches.push(`the memory of tracking grew by ${Math.round(grown)} MiB`);
    return { ...outcome, breaches };
  } finally {
    await load.stop();
    load.close();
  }
}

export const scenario: Scenario = {
  number: 9,
  name: 'NATS is away for 10 s under load',
  invariant: 'writes to tracking go on, their events follow once and in order, memory stays bounded',
  missing: memoryUnreadable,
  run: (chance: Chance) => endure(chance.between(9_000, 11_000)),
  // A relay that remembers events as published while there is no NATS.
  control: () => endure(1_000, true),
};
