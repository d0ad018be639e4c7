import type { DocumentStore } from '@millrace/documents';
import { CodedError } from '@millrace/errors';
import { startNats, type TempDir, type TestNats, tempDir, until } from '@millrace/testing';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type Bus,
  type Clock,
  connectBus,
  handler,
  noLog,
  publish,
  type Relay,
  readHold,
  refillStream,
  type Subscription,
  startRelay,
  subscribe,
  systemClock,
} from '../src/index.ts';
import { readWaiting } from '../src/nats/waiting.ts';
import { aliasMoved, openStore, record } from './fixtures.ts';

const stream = 'MILLRACE_REGISTRY';
const cursor = 'relay-registry';
/** So many events of 32 KiB are three times what the stream keeps. */
const events = 96;
const hourMs = 3_600_000;

let nats: TestNats;
let bus: Bus;
let folder: TempDir;
let store: DocumentStore;
let relay: Relay;
let aheadMs: number;
let warnings: string[];
const subscriptions: Subscription[] = [];
let errors: { fields: object; message: string }[];

const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'hold-test' });
});
beforeEach(async () => {
  folder = tempDir();
  store = await openStore(folder.path);
  [aheadMs, warnings, errors] = [0, [], []];
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
  const log = {
    ...noLog,
    warn: (_: object, message: string) => void warnings.push(message),
    error: (fields: object, message: string) => void errors.push({ fields, message }),
  };
  return startRelay({ store, bus, context: 'registry', log, clock, stream: { maxBytes: 2 ** 20 } });
}

const recordLarge = (count = events) => record(store, count, { resources: 1, padding: 32 * 1024 });

async function listen() {
  const handled: number[] = [];
  const on = [handler(aliasMoved, async ({ sequence }) => void handled.push(sequence))];
  const subscription = await subscribe(bus, { durable: 'gone', on, log: noLog });
  await subscription.ready;
  subscriptions.push(subscription);
  return { handled, stop: () => subscription.stop() };
}

/** Fills the stream with what a consumer that is away holds. */
async function hold(): Promise<void> {
  await (await listen()).stop();
  await recordLarge();
  await until(() => warnings.length > 0);
  await until(async () => (await store.cursors.get(cursor)) === relay.position);
}

async function held(): Promise<number[]> {
  const found: number[] = [];
  for await (const { headers } of bus.read(stream)) found.push(Number(headers?.get('ce-sequence')));
  return found;
}

test('a consumer that is away for good holds its stream for a day, and is told what it lost and how to get it', async () => {
  await hold();
  aheadMs = 23 * hourMs;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await held()).toEqual((await held()).map((_, index) => index + 1));
  expect(errors).toEqual([]);
  aheadMs = 25 * hourMs;
  await until(() => relay.position === events, { timeoutMs: 20_000 });
  const left = (await held())[0]!;
  expect(left).toBeGreaterThan(1);
  const ranges = errors.map(({ fields }) => fields as { from: number; to: number; durables: string });
  expect(ranges.map(({ from }) => from)).toEqual([1, ...ranges.slice(0, -1).map(({ to }) => to + 1)]);
  expect(ranges.at(-1)).toMatchObject({ to: left - 1, durables: 'gone', stream });
  expect(errors[0]?.message).toMatch(
    /waited 24 hours for gone .*replay --context registry --from 1 --to \d+$/,
  );

  const { handled } = await listen();
  await until(() => handled.length >= events - left + 1, { timeoutMs: 15_000 });
  const again = { store, bus, context: 'registry', from: 1, to: 3 } as const;
  expect(await refillStream(again)).toMatchObject({ published: 0 });
  // There is room for what is put back once the relay has looked at the stream again.
  await (await bus.manager()).streams.purge(stream, { seq: (await bus.readState(stream))!.first + 6 });
  expect(await refillStream({ ...again, letGo: true })).toMatchObject({ published: 3 });
  await until(() => handled.length >= events - left + 4);
  expect(handled.slice(-3)).toEqual([1, 2, 3]);
}, 60_000);

test('who keeps a stream full, and since when, can be seen', async () => {
  expect(await readHold(bus, stream)).toBeUndefined();
  const beforeMs = Date.now();
  await hold();
  const found = await readHold(bus, stream);
  expect(found?.durables).toEqual(['gone']);
  expect(found?.sinceMs).toBeGreaterThanOrEqual(beforeMs - 1_000);
  expect(found?.sinceMs).toBeLessThanOrEqual(Date.now());
});

test('a refill stops at what waits for room, and remembers nothing of what it did not publish', async () => {
  await hold();
  expect(await refillStream({ store, bus, context: 'registry' })).toMatchObject({
    published: 0,
    present: relay.position,
  });
  expect(await store.cursors.get(`${cursor}/mended`)).toBe(0);
});

test('a refill that finds no room remembers only what it published', async () => {
  await hold();
  await relay.stop();
  // As if the relay had published it, and the stream had lost it.
  await store.cursors.set(cursor, relay.position + 2);
  const refill = refillStream({ store, bus, context: 'registry' });
  await expect(refill).rejects.toMatchObject({ code: 'STREAM_FULL' });
  expect(await store.cursors.get(`${cursor}/mended`)).toBe(0);
});

test('a number that the record never gave is not taken for the oldest that the stream must hold', async () => {
  for (let n = 0; n < 40; n++)
    await bus.send({
      subject: 'millrace.default.registry.foreign.told.v1',
      headers: new Map([['ce-sequence', '900000']]),
      data: new Uint8Array(2 ** 14),
      id: `foreign-${n}`,
    });
  await recordLarge();
  await until(() => relay.position === events, { timeoutMs: 15_000 });
  expect(await store.cursors.get(`${cursor}/oldest`)).toBeLessThanOrEqual(events);
});

test('a list of consumers that a cluster left somebody out of is none', async () => {
  await (await listen()).stop();
  const connection = await bus.connection();
  const leaderless = Object.create(connection, {
    request: {
      value: async (subject: string, ...rest: [Uint8Array]) => {
        const message = await connection.request(subject, ...rest);
        if (!subject.includes('.CONSUMER.LIST.')) return message;
        const answer = { ...message.json<object>(), total: 1, consumers: [], missing: ['gone'] };
        const data = new TextEncoder().encode(JSON.stringify(answer));
        return Object.create(message, { data: { value: data } });
      },
    },
  });
  const manager = await jetstreamManager(leaderless, { checkAPI: false });
  await expect(readWaiting(manager, stream)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('a fact from outside waits for room as it waits for a stream that does not answer', async () => {
  let tries = 0;
  const send: Bus['send'] = async (message) => {
    if (++tries === 1) throw new CodedError('resource_exhausted', 'STREAM_FULL', 'the stream is full; retry');
    return bus.send(message);
  };
  const data = { alias: 'champion', version: 1 };
  await publish({ send }, aliasMoved, { project: 'default', resource: 'projects/default/models/m', data });
  expect(tries).toBe(2);
});
