import type { DocumentStore } from '@millrace/documents';
import { startNats, type TempDir, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type Bus,
  connectBus,
  handler,
  noLog,
  type Relay,
  refillStream,
  type SubscribeOptions,
  type Subscription,
  startRelay,
  subscribe,
} from '../src/index.ts';
import { aliasMoved, modelCreated, openStore, record } from './fixtures.ts';

const stream = 'MILLRACE_REGISTRY';
const maxBytes = 2 ** 20;
/** So many events of 32 KiB are three times what the stream keeps. */
const events = 96;

let nats: TestNats;
let bus: Bus;
let folder: TempDir;
let store: DocumentStore;
let relay: Relay;
let told: string[];
const subscriptions: Subscription[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'full-test' });
});
beforeEach(async () => {
  folder = tempDir();
  store = await openStore(folder.path);
  told = [];
  relay = startHere();
  await until(async () => (await bus.readState(stream)) !== undefined);
});
afterEach(async () => {
  await Promise.all(subscriptions.splice(0).map((one) => one.stop()));
  await relay.stop();
  await store.close();
  await folder.remove();
  await (await bus.manager()).streams.delete(stream);
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
});

function startHere(): Relay {
  const log = { ...noLog, warn: (_: object, message: string) => void told.push(message) };
  return startRelay({ store, bus, context: 'registry', log, stream: { maxBytes } });
}

const recordLarge = () => record(store, events, { resources: 1, padding: 32 * 1024 });

/** Subscribes to moved aliases; tells the sequence numbers that were handled, as they come. */
async function listen(options: Partial<SubscribeOptions> = {}) {
  const handled: number[] = [];
  const on = [handler(aliasMoved, async ({ sequence }) => void handled.push(sequence))];
  const subscription = await subscribe(bus, { durable: 'slow', on, log: noLog, ...options });
  subscriptions.push(subscription);
  await subscription.ready;
  return { handled, subscription };
}

async function held(): Promise<number[]> {
  const found: number[] = [];
  for await (const { headers } of bus.read(stream)) found.push(Number(headers?.get('ce-sequence')));
  return found;
}

const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

test('a consumer that was away while more came than its stream keeps gets every event, once and in order', async () => {
  const { subscription } = await listen();
  await subscription.stop();
  await recordLarge();
  await until(() => told.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect(told).toEqual([expect.stringMatching(/full of events that slow did not take.*consumer rm/)]);
  expect(await held()).toEqual(from(1, relay.position));
  expect(relay.position).toBeLessThan(events / 2);
  const { handled } = await listen();
  await until(() => handled.length >= events, { timeoutMs: 20_000 });
  expect(handled).toEqual(from(1, events));
  expect(told).toHaveLength(1);
}, 30_000);

test.each<[string, () => Promise<void>]>([
  ['nobody reads', async () => {}],
  [
    'somebody else has a consumer of',
    async () => {
      const settings = { durable_name: 'foreign', ack_policy: 'explicit' } as never;
      await (await bus.manager()).consumers.add(stream, settings);
    },
  ],
  [
    'a client reads that may be left behind',
    async () => (await listen({ holds: false })).subscription.stop(),
  ],
  [
    'consumers read who want nothing of it',
    async () => {
      const on = [handler(modelCreated, async () => {})];
      await (await listen({ on })).subscription.stop();
    },
  ],
])('a stream that %s lets its oldest events go, and goes on', async (_, prepare) => {
  await prepare();
  await recordLarge();
  await until(() => relay.position === events, { timeoutMs: 15_000 });
  const left = await held();
  expect(left).toEqual(from(left[0]!, events));
  expect(left.length).toBeGreaterThan(20);
  expect(told).toEqual([]);
});

test('a stream to which only others publish does not stay full', async () => {
  await relay.stop();
  const send = (n: number) =>
    bus.send({
      subject: 'millrace.default.registry.foreign.told.v1',
      data: new Uint8Array(2 ** 15),
      id: `${n}`,
    });
  const fill = async () => {
    for (let n = 0; ; n++) await send(n);
  };
  await expect(fill()).rejects.toMatchObject({ code: 'STREAM_FULL' });
  relay = startHere();
  await until(() => send(1_000).catch(() => undefined));
});

test('what a full stream let go is no loss, and is not put back', async () => {
  await recordLarge();
  await until(() => relay.position === events);
  expect(await relay.check()).toBeUndefined();
  await relay.stop();
  relay = startHere();
  await until(() => relay.position === events);
  expect(await relay.check()).toBeUndefined();
  const before = await held();
  expect(await refillStream({ store, bus, context: 'registry' })).toMatchObject({ published: 0 });
  await (await bus.manager()).streams.delete(stream);
  await record(store, 1);
  await until(() => relay.position === events + 1, { timeoutMs: 15_000 });
  expect(await held()).toEqual([...before, events + 1]);
});

test('what a full stream loses at its beginning is noticed and put back', async () => {
  const { handled } = await listen();
  await recordLarge();
  await until(() => handled.length === events, { timeoutMs: 15_000 });
  await relay.check();
  const before = await held();
  const { first } = (await bus.readState(stream))!;
  for (const seq of [first, first + 1]) await bus.removeMessage(stream, seq);
  expect(await relay.check()).toMatchObject({ published: 2 });
  expect((await held()).toSorted((a, b) => a - b)).toEqual(expect.arrayContaining(before.slice(0, 2)));
  expect(await relay.check()).toBeUndefined();
});
