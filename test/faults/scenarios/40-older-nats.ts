import { connectBus, findOlderServer, minimumVersion } from '@millrace/events';
import {
  type PlainNats,
  type ServiceName,
  services,
  startNats,
  startPlainNats,
  startService,
  until,
} from '@millrace/testing';
import { readRecord } from '../demo/records.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import { readEvents } from '../streams.ts';
import { tally, together } from '../tally.ts';
import { clientOf, makeRun } from '../uploads.ts';

const [tooOld, enough] = ['2.9.10', '2.10.27'] as const;

/** What a refusal says: which server it met, what it needs, and what to do. */
const refusal = new RegExp(`nats-server ${tooOld} is older than ${minimumVersion}; install nats-server`);

/** Services refuse to start with a server. */
async function refuse(nats: PlainNats, names: readonly ServiceName[]): Promise<Outcome> {
  const breaches: string[] = [];
  // Two at a time, as many as the machine has room for.
  const queue = [...names];
  const work = async () => {
    for (let name = queue.shift(); name; name = queue.shift()) {
      const said = await startService(name, { env: { NATS_URL: nats.url } }).then(
        async (service) => {
          await service.kill9();
          return 'it started';
        },
        (error: Error) => error.message,
      );
      if (!/ended with code [1-9]/.test(said) || !refusal.test(said))
        breaches.push(`${name} does not refuse clearly: ${said.slice(0, 200)}`);
    }
  };
  await Promise.all([work(), work()]);
  return { checked: names.length, lost: 0, doubled: 0, breaches };
}

/** A server that becomes too old while a service runs gets nothing; writes are taken, and published to the next one. */
async function swap(server: NonNullable<Awaited<ReturnType<typeof findOlderServer>>>): Promise<Outcome> {
  await using good = await startNats();
  await using service = await startService('tracking', { env: { NATS_URL: good.url } });
  const millrace = clientOf(service);
  const runs = [await makeRun(millrace)];
  await good.kill();
  const old = await startPlainNats({ server, port: Number(new URL(good.url).port) });
  await until(() => service.logs.some((line) => refusal.test(line)), {
    what: 'the refusal in the log',
    timeoutMs: 60_000,
  });
  for (let i = 0; i < 5; i++) runs.push(await makeRun(millrace));
  await old[Symbol.asyncDispose]();
  await good.restart();
  const outcome = await compare(millrace, good.url, runs);
  millrace.close();
  return outcome;
}

/** The oldest supported server carries events as any other does. */
async function serveOn(server: NonNullable<Awaited<ReturnType<typeof findOlderServer>>>): Promise<Outcome> {
  await using nats = await startPlainNats({ server });
  await using service = await startService('tracking', { env: { NATS_URL: nats.url } });
  await using registry = await startService('registry', { env: { NATS_URL: nats.url } });
  const millrace = clientOf(service);
  const runs: string[] = [];
  for (let i = 0; i < 5; i++) runs.push(await makeRun(millrace));
  const outcome = await compare(millrace, nats.url, runs);
  millrace.close();
  const advised = () =>
    [service, registry].every(({ logs }) => logs.some((line) => line.includes(`${enough} works`)));
  const breaches = await until(advised).then(
    () => [],
    () => ['nothing is advised'],
  );
  await registry.kill9();
  return { ...outcome, breaches: [...outcome.breaches, ...breaches] };
}

/** The runs that were made against those that the stream tells of, once it has the whole record. */
async function compare(
  millrace: ReturnType<typeof clientOf>,
  natsUrl: string,
  runs: readonly string[],
): Promise<Outcome> {
  const record = await readRecord(millrace, 'tracking');
  const bus = await connectBus({ url: natsUrl, name: 'observer' });
  try {
    const events = await until(
      async () => {
        const found = await readEvents(bus, 'tracking');
        const ids = new Set(found.map(({ id }) => id));
        return record.every(({ id }) => ids.has(id)) && found;
      },
      { what: 'the record in the stream', timeoutMs: 60_000 },
    );
    const created = events.filter(({ type }) => type === 'millrace.tracking.run.created.v1');
    return tally(
      runs,
      created.map(({ resource }) => resource),
    );
  } finally {
    await bus.close();
  }
}

export const scenario: Scenario = {
  number: 40,
  name: `NATS ${tooOld}, which is too old, and ${enough}, which is not`,
  invariant: 'the old one is refused by its version, also when it comes later; the other one works',
  missing: async () => {
    for (const version of [tooOld, enough]) {
      const notes: string[] = [];
      if (!(await findOlderServer(version, (note) => notes.push(note))))
        return `nats-server ${version} cannot be had here${notes.length > 0 ? `: ${notes.at(-1)?.trim()}` : ''}`;
    }
    return undefined;
  },
  run: async () => {
    const [old, young] = await Promise.all([findOlderServer(tooOld), findOlderServer(enough)]);
    if (!old || !young) throw new Error('the older servers are gone');
    await using nats = await startPlainNats({ server: old });
    const names = Object.keys(services) as ServiceName[];
    return together([await refuse(nats, names), await swap(old), await serveOn(young)]);
  },
  // A server that is new enough where the old one was.
  control: async () => {
    await using nats = await startPlainNats();
    return refuse(nats, ['tracking']);
  },
};
