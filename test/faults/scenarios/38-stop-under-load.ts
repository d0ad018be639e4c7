import { setTimeout as sleep } from 'node:timers/promises';
import { isCoded } from '@millrace/errors';
import { type ServiceName, services, startService, tempDir, until } from '@millrace/testing';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { tally, together } from '../tally.ts';
import { clientOf, everything, startWriting, writers } from '../writers.ts';

/** Nothing listens there: events wait in the record. */
const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };
const mostMs = 10_000;

/**
 * Tells a service to stop while it is written to and watched; if `twice`, then again, and kills it before it is done. What was
 * acknowledged is there; after the first stop also nothing else is: a call that was not answered was not done.
 */
async function stopOne(
  name: ServiceName,
  chance: Chance,
  { signal, twice }: { readonly signal: 'SIGTERM' | 'SIGKILL'; readonly twice: boolean },
): Promise<Outcome> {
  await using folder = tempDir('millrace-stop-');
  await using service = await startService(name, { env, dataDir: folder.path });
  const writer = writers[name];
  const millrace = clientOf(service);
  const breaches: string[] = [];
  try {
    const first = startWriting(writer, millrace, 'a');
    const watching = watch(millrace, name);
    await until(() => first.acknowledged.size > 20, { what: `${name} is written to` });
    await sleep(chance.between(0, 200));
    const begun = performance.now();
    const code = signal === 'SIGTERM' ? await service.stop() : await service.kill9().then(() => null);
    const tookMs = performance.now() - begun;
    if (code !== 0) breaches.push(`${name} ended with ${code}`);
    if (tookMs > mostMs) breaches.push(`${name} took ${Math.round(tookMs)} ms to stop`);
    await first.ended;
    const told = await watching;
    if (told !== 'unavailable') breaches.push(`a watch of ${name} was told ${told}`);
    await service.restart();
    const afterStop = tally(first.acknowledged, await everything(writer, millrace));
    if (afterStop.breaches.length > 0) breaches.push(`${name} did calls and did not answer them`);
    if (!twice) return { ...afterStop, breaches };

    const second = startWriting(writer, millrace, 'b');
    await until(() => second.acknowledged.size > 20, { what: `${name} is written to again` });
    process.kill(service.pid, 'SIGTERM');
    await sleep(chance.between(0, 60));
    await service.kill9();
    await second.ended;
    await service.restart();
    const acknowledged = [...first.acknowledged, ...second.acknowledged];
    const afterKill = tally(acknowledged, await everything(writer, millrace), [
      ...first.failed,
      ...second.failed,
    ]);
    return together([{ ...afterStop, checked: 0, breaches }, afterKill]);
  } finally {
    millrace.close();
  }
}

/** Follows the events; answers how that ended. */
async function watch(millrace: ReturnType<typeof clientOf>, name: ServiceName): Promise<string> {
  const contexts = { 'feature-store': 'features', orchestrator: 'pipelines' } as const;
  const context = name in contexts ? contexts[name as keyof typeof contexts] : (name as 'tracking');
  try {
    for await (const _ of millrace.eventLog(context).watchEvents({}, { deadlineMs: 120_000 }));
    return 'nothing';
  } catch (error) {
    return isCoded(error) ? error.kind : String(error);
  }
}

async function stopAll(chance: Chance): Promise<Outcome> {
  const names = (Object.keys(services) as ServiceName[]).sort(() => chance.random() - 0.5);
  const outcomes: Outcome[] = [];
  const worker = async () => {
    for (let name = names.pop(); name; name = names.pop())
      // The second time for every other one: starts take most of the time of this scenario.
      outcomes.push(await stopOne(name, chance, { signal: 'SIGTERM', twice: names.length % 2 === 0 }));
  };
  await Promise.all([worker(), worker(), worker()]);
  return together(outcomes);
}

export const scenario: Scenario = {
  number: 38,
  name: 'each service is told to stop under load; some then again, and killed before they are done',
  invariant:
    'what was acknowledged is there, what was not answered was not done; exit 0 within 10 s; watches are told',
  limitMs: 120_000,
  run: stopAll,
  // Not told, but killed.
  control: (chance) => stopOne('registry', chance, { signal: 'SIGKILL', twice: false }),
};
