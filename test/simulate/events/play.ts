import { decodeMessage, redrive } from '@millrace/events';
import type { Played, PlayOptions } from '../simulation.ts';
import { effects } from './actors.ts';
import { heal, strike } from './blows.ts';
import { createWorld, type World } from './world.ts';

/** In which time everything must have arrived once all is healed: longer than the longest wait before another try. */
const healedMs = 25 * 60_000;

/** Plays a world: first faults, then peace. */
export async function play(seed: number, options: PlayOptions = {}): Promise<Played> {
  const world = await createWorld(seed, options.control, options.trace);
  const { timeline, chance, weather, checks } = world;
  const operations = chance.between(6, 30);
  const acknowledged = new Set<string>();
  const resources = Array.from({ length: chance.between(1, 4) }, (_, i) => `projects/default/models/m${i}`);
  let steps = 0;
  const step = async () => {
    steps++;
    await timeline.step();
    await checkRecord(world);
  };

  for (let client = 0; client < 3; client++)
    void callUntilAcknowledged(world, client, operations, resources, acknowledged);
  const blow = () => {
    if (world.healed || weather.blows.length === 0) return;
    strike(world, chance.pick(weather.blows));
    timeline.at(chance.random() * 2 * weather.betweenBlowsMs, blow);
  };
  timeline.at(chance.between(0, 2_000), blow);
  const endMs = chance.between(5_000, 40_000);
  while (timeline.now < endMs && checks.breaches.size === 0) await step();

  heal(world);
  const until = timeline.now + healedMs;
  let missing: readonly string[] = ['nothing was looked at'];
  for (let round = 1; missing.length > 0 && timeline.now < until && checks.breaches.size === 0; round++) {
    const next = timeline.now + Math.min(1_000 * round, 20_000);
    let due = false;
    timeline.at(next - timeline.now, () => (due = true));
    while (!due) await step();
    missing = await timeline.busy(whatIsMissing(world, acknowledged, operations * 3));
    // An operator gives dead letters back.
    const bus = world.actors.get('B1')!.link;
    if (round % 5 === 0)
      for (const durable of ['projection', 'echo']) redrive(bus, { durable }).catch(() => {});
  }
  for (const text of missing) checks.breach(`never: ${text}`);
  await checkOrder(world);
  await world.close();
  return { steps, breaches: [...checks.breaches] };
}

/** A client that asks again, with the same request id, until it has its answer. */
async function callUntilAcknowledged(
  world: World,
  client: number,
  operations: number,
  resources: readonly string[],
  acknowledged: Set<string>,
): Promise<void> {
  const { timeline, chance, actors } = world;
  const sleep = (ms: number) => new Promise<void>((resolve) => void timeline.at(ms, resolve));
  for (let i = 0; i < operations; i++) {
    const operation = `op${client}-${i}`;
    const resource = chance.pick(resources);
    for (let attempt = 1; !acknowledged.has(operation); attempt++) {
      const { write } = actors.get(chance.pick(['A1', 'A2']))!;
      const answer = write!(operation, resource, attempt).then(
        () => acknowledged.add(operation),
        () => {},
      );
      await Promise.race([answer, sleep(2_000)]);
      if (!acknowledged.has(operation)) await sleep(100);
    }
    await sleep(chance.random() * 1_000);
  }
}

/** Whatever a stream took is in the record, under the same number. */
async function checkRecord({ checks, stores, timeline }: World): Promise<void> {
  for (const { stream, id, sequence } of checks.fresh.splice(0)) {
    const { events } = stream === 'MILLRACE_REGISTRY' ? stores.registry : stores.serving;
    const [recorded] = await timeline.busy(events.read({ after: sequence - 1, limit: 1 }));
    if (recorded?.id !== id)
      checks.breach(`${stream} has event ${id}, which is not ${sequence} of the record`);
  }
}

/** What has not arrived yet; empty when the world has come to rest. */
async function whatIsMissing(
  { stores, server }: World,
  acknowledged: ReadonlySet<string>,
  operations: number,
): Promise<string[]> {
  const missing: string[] = [];
  if (acknowledged.size < operations)
    missing.push(`${operations - acknowledged.size} calls without an answer`);
  const events = await stores.registry.events.read({ after: 0, limit: 10_000 });
  const told = await stores.serving.events.read({ after: 0, limit: 10_000 });
  if (events.length !== acknowledged.size)
    missing.push(`${acknowledged.size} calls, ${events.length} events`);
  if (told.length !== events.length) missing.push(`${events.length} events, ${told.length} answers to them`);
  const counts = new Map<string, number>();
  for (const store of [stores.registry, stores.serving])
    for (const { id, doc } of (await store.collection(effects).find({ limit: 1_000 })).items)
      for (const operation of doc.operations) {
        const place = store === stores.serving ? 'projection' : id.startsWith('echo/') ? 'echo' : 'record';
        const key = `${place} ${operation}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
  for (const operation of acknowledged)
    for (const place of ['record', 'projection', 'echo']) {
      const count = counts.get(`${place} ${operation}`) ?? 0;
      if (count !== 1) missing.push(`${operation} is in the ${place} ${count} times`);
    }
  for (const [name, recorded] of [
    ['MILLRACE_REGISTRY', events],
    ['MILLRACE_SERVING', told],
  ] as const) {
    const held = new Set<string>();
    for (const message of server.streams.get(name)?.messages.values() ?? [])
      held.add(decodeMessage(message.headers, message.data).id);
    const lacking = recorded.filter(({ id }) => !held.has(id));
    if (lacking.length > 0) missing.push(`${name} lacks ${lacking.map(({ sequence }) => sequence)}`);
  }
  return missing;
}

/** One at a time means in order, as long as nothing was taken out of a stream or given up. */
async function checkOrder({ checks, stores, ordered }: World): Promise<void> {
  if (!ordered || checks.isExcused('projection')) return;
  for (const { id, doc } of (await stores.serving.collection(effects).find({ limit: 1_000 })).items)
    if (doc.sequences.some((sequence, i) => sequence < (doc.sequences[i - 1] ?? 0)))
      checks.breach(`the projection took ${id} in the order ${doc.sequences}`);
}
