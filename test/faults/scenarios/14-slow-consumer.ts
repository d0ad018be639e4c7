import { setTimeout as sleep } from 'node:timers/promises';
import { registryEvents, streamOf } from '@millrace/contracts';
import { type Bus, connectBus, ensureStream, handler, noLog, publish, subscribe } from '@millrace/events';
import { startNats, until } from '@millrace/testing';
import { memoryUnreadable, residentMb } from '../memory.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import { tally } from '../tally.ts';

const { aliasMoved } = registryEvents;
const stream = streamOf('registry').name;
const events = 3_000;
/** Most events that the consumer may have at a time. */
const limit = 8;
/** How much the memory of NATS may grow while they wait on its disk, in MiB. */
const mayGrowMb = 48;

/** Publishes as fast as it goes to a consumer that handles eight events a second, and then all that are left. */
async function holdUp(maxInFlight: number): Promise<Outcome> {
  await using nats = await startNats();
  const bus = await connectBus({ url: nats.url, name: 'slow' });
  await ensureStream(bus, 'registry');
  const handled: string[] = [];
  let [slow, running, most] = [true, 0, 0];
  const sluggish = handler(aliasMoved, async ({ id }) => {
    most = Math.max(most, ++running);
    for (let waited = 0; slow && waited < 1_000; waited += 50) await sleep(50);
    running--;
    handled.push(id);
  });
  const subscription = await subscribe(bus, { durable: 'slow', on: [sluggish], log: noLog, maxInFlight });
  await subscription.ready;
  const before = residentMb(nats.pid);
  const breaches: string[] = [];
  try {
    const published = await publishAll(bus);
    const lag = await until(() => readLag(bus), { what: 'a word of the consumer' });
    const grown = residentMb(nats.pid) - before;
    const waiting = published.length - handled.length;
    if (waiting < events / 2) breaches.push(`the consumer was not slow: ${handled.length} handled`);
    if (lag.waiting + lag.unanswered < waiting - limit * 2)
      breaches.push(`${waiting} events wait, the consumer tells of ${lag.waiting} and ${lag.unanswered}`);
    slow = false;
    await until(() => new Set(handled).size >= published.length, { timeoutMs: 60_000 }).catch(() => {});
    if (most > limit) breaches.push(`${most} events at a time, not ${limit}`);
    if (lag.unanswered > limit) breaches.push(`${lag.unanswered} events were given out, not ${limit}`);
    if (grown > mayGrowMb) breaches.push(`the memory of NATS grew by ${Math.round(grown)} MiB`);
    const outcome = tally(published, handled);
    return { ...outcome, breaches: [...outcome.breaches, ...breaches] };
  } finally {
    await subscription.stop();
    await bus.close();
  }
}

/** Publishes from 64 loops at once; answers the ids that the stream has. */
async function publishAll(bus: Bus): Promise<string[]> {
  const ids: string[] = [];
  let next = 0;
  const working = Array.from({ length: 64 }, async () => {
    while (next < events) {
      const resource = `projects/default/models/m${next++}/aliases/champion`;
      ids.push((await publish(bus, aliasMoved, { project: 'default', resource, data: {} })).id);
    }
  });
  await Promise.all(working);
  return ids;
}

/** What NATS tells of the consumer: events that wait for it, and such as it has not answered. */
async function readLag(bus: Bus) {
  const info = await (await bus.manager()).consumers.info(stream, 'slow');
  return { waiting: info.num_pending, unanswered: info.num_ack_pending };
}

export const scenario: Scenario = {
  number: 14,
  name: 'a consumer that is far too slow for what is published',
  invariant: 'no more in flight than allowed, the lag is told, memory stays bounded, nothing is dropped',
  missing: memoryUnreadable,
  run: () => holdUp(limit),
  // The same consumer without its limit.
  control: () => holdUp(10_000),
};
