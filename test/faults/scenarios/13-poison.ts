import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { streamOf, trackingEvents } from '@millrace/contracts';
import { type Bus, connectBus, handler, listDeadLetters, noLog, redrive, subscribe } from '@millrace/events';
import { connect, type Millrace } from '@millrace/sdk';
import { publishRaw, startNats, startService, type TestNats, until } from '@millrace/testing';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { tally } from '../tally.ts';

const { datasetInputLogged } = trackingEvents;
const runs = 24;
const poisons = 6;
/** How long what must come may take. */
const timeoutMs = 30_000;
const reason = 'the disk of the catalogue is gone';

/** A consumer of the test that cannot handle some events until it is repaired. */
async function startDesk(bus: Bus, isBroken: (run: string) => boolean, swallows: boolean) {
  const handled: string[] = [];
  const note = handler(datasetInputLogged, async ({ data }) => {
    if (!isBroken(data.run)) handled.push(data.run);
    else if (!swallows) throw new Error(reason);
  });
  const subscription = await subscribe(bus, { durable: 'desk', on: [note], log: noLog, retryMs: [20, 40] });
  return { handled, stop: () => subscription.stop() };
}

/**
 * Puts messages between the events of tracking that are none, and events that one consumer cannot handle. The registry
 * listens too. Afterwards the consumer is repaired and gets back what it could not handle.
 */
async function poison(chance: Chance, swallows: boolean): Promise<Outcome> {
  await using nats = await startNats();
  const env = { NATS_URL: nats.url, LOG_LEVEL: 'warn' };
  const [tracking, registry] = await Promise.all([
    startService('tracking', { env }),
    startService('registry', { env }),
  ]);
  const services = { tracking: tracking.address, registry: registry.address };
  const millrace = connect({ endpoints: { services }, project: 'default' });
  const bus = await connectBus({ url: nats.url, name: 'desk' });
  const broken = new Set<string>();
  const desk = await startDesk(bus, (run) => broken.has(run), swallows);
  const breaches: string[] = [];
  try {
    const logged = await logInputs(millrace, nats, chance, broken);
    const shouldFail = broken.size;
    await until(() => desk.handled.length >= runs - shouldFail, {
      what: 'the others being handled',
      timeoutMs,
    });
    const edges = Promise.all(logged.map((run) => until(() => hasLineage(millrace, run), { timeoutMs })));
    await edges.catch((error) => breaches.push(`the registry does not get on: ${error}`));
    if (!swallows) breaches.push(...(await judgeLetters(bus, shouldFail)));
    broken.clear();
    await redrive(bus, { durable: 'desk' });
    await until(() => desk.handled.length >= runs, { timeoutMs: swallows ? 500 : timeoutMs }).catch(() => {});
    // Time for what should not come.
    await sleep(300);
    const outcome = tally(logged, desk.handled);
    return { ...outcome, breaches: [...outcome.breaches, ...breaches] };
  } finally {
    await desk.stop();
    await bus.close();
    millrace.close();
    await Promise.all([tracking.stop(), registry.stop()]);
  }
}

/** Logs an input for each of many runs, with poison in between; fills in the runs that cannot be handled. */
async function logInputs(
  { tracking, parent }: Millrace,
  nats: TestNats,
  chance: Chance,
  broken: Set<string>,
): Promise<string[]> {
  const logged: string[] = [];
  for (let index = 0; index < runs; index++) {
    const { run } = await tracking.createRun({ parent, run: {} });
    const name = run?.name ?? '';
    if (index % 5 === 0) broken.add(name);
    await tracking.logInputs({
      name,
      inputs: [{ dataset: { name: `flights-${index}`, digest: `${index}` } }],
    });
    logged.push(name);
    if (index % (runs / poisons) === 0) {
      const subject = 'millrace.default.tracking.dataset_input.logged.v1';
      await publishRaw(nats.url, [{ subject, data: randomBytes(chance.between(0, 300)) }]);
    }
  }
  return logged;
}

/** Says what is wrong with the dead letters: each message that is no event has one for each consumer, with its reason. */
async function judgeLetters(bus: Bus, unhandled: number): Promise<string[]> {
  const breaches: string[] = [];
  for (const [durable, failed] of [
    ['desk', unhandled],
    ['registry-lineage', 0],
  ] as const) {
    const wanted = poisons + failed;
    const letters = await until(
      async () => {
        const found = await listDeadLetters(bus, { durable });
        return found.length >= wanted && found;
      },
      { what: `${wanted} dead letters of ${durable}`, timeoutMs },
    );
    if (letters.length > wanted) breaches.push(`${durable}: ${letters.length} dead letters, not ${wanted}`);
    const undecodable = letters.filter(({ code }) => code === 'EVENT_UNDECODABLE');
    if (undecodable.length !== poisons)
      breaches.push(`${durable}: ${undecodable.length} are called no event`);
    const explained = letters.filter((letter) => letter.reason === reason && letter.attempts === 3);
    if (explained.length !== failed)
      breaches.push(`${durable}: ${explained.length} tell the failure and 3 tries`);
    if (letters.some((letter) => letter.reason === '' || letter.stream !== streamOf('tracking').name))
      breaches.push(`${durable}: a letter without reason or stream`);
  }
  return breaches;
}

async function hasLineage({ lineage }: Millrace, resource: string): Promise<boolean> {
  return (await lineage.getLineage({ resource, depth: 1 })).edges.length > 0;
}

export const scenario: Scenario = {
  number: 13,
  name: 'messages that are no events, and events that a consumer cannot handle',
  invariant: 'dead letters with their reason, others get on, given back each is handled once',
  run: (chance) => poison(chance, false),
  // A consumer that passes over what it cannot handle.
  control: (chance) => poison(chance, true),
};
