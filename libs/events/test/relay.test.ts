import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Cursors, DocumentStore } from '@millrace/documents';
import {
  createChance,
  startNats,
  type TempDir,
  type TestNats,
  tempDir,
  unreliable,
  until,
} from '@millrace/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type Bus,
  connectBus,
  decodeMessage,
  ensureStream,
  type Gap,
  noLog,
  type OutgoingMessage,
  type Relay,
  type RelayOptions,
  refillStream,
  startRelay,
  systemClock,
} from '../src/index.ts';
import { sendEvent } from '../src/publish.ts';
import { openStore, record } from './fixtures.ts';

let nats: TestNats;
let bus: Bus;
let folder: TempDir;
let store: DocumentStore;
const relays: Relay[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'relay-test' });
});
beforeEach(async () => {
  folder = tempDir();
  store = await openStore(folder.path);
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
  await store.close();
  await folder.remove();
  const manager = await bus.manager();
  await manager.streams.delete('MILLRACE_REGISTRY').catch(() => {});
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
});

function relay(options: Partial<RelayOptions> = {}): Relay {
  const started = startRelay({
    store,
    bus,
    context: 'registry',
    log: noLog,
    publishTimeoutMs: 1_000,
    ...options,
  });
  relays.push(started);
  return started;
}

/** The sequence numbers in the stream, in its order. */
async function sequences(): Promise<number[]> {
  const found: number[] = [];
  for await (const message of bus.read('MILLRACE_REGISTRY'))
    found.push(decodeMessage(message.headers, message.data).sequence);
  return found;
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test('the stream gets every recorded event once and in order', async () => {
  await record(store, 300);
  const running = relay();
  await until(() => running.position === 300);
  await record(store, 50);
  await until(() => running.position === 350);
  expect(await sequences()).toEqual(upTo(350));
});

test('events stay in order when some are lost on the way, and when others publish in between', async () => {
  await ensureStream(bus, 'registry');
  const { random } = createChance(7);
  const lossy = unreliable(bus, { random, clock: systemClock, drop: 0.02 });
  const subject = 'millrace.default.registry.foreign.told.v1';
  await record(store, 150);
  const running = relay({ bus: lossy });
  for (let n = 0; running.position < 150; n++)
    await bus.send({ subject, data: new Uint8Array(), id: `foreign-${n}` });
  const held: number[] = [];
  for await (const { headers } of bus.read('MILLRACE_REGISTRY'))
    if (headers?.has('ce-sequence')) held.push(Number(headers.get('ce-sequence')));
  expect(held).toEqual(upTo(150));
});

test('an event is published soon after its commit', async () => {
  const running = relay({ pollMs: 60_000 });
  await until(() => bus.connected);
  await record(store, 1);
  await until(() => running.position === 1, { timeoutMs: 5_000 });
});

test('a relay that died between publishing and remembering publishes the same ids again, and the stream keeps one', async () => {
  await record(store, 40);
  const cursors: Cursors = {
    ...store.cursors,
    set: (name, ...rest) =>
      name === 'relay-registry' ? Promise.reject(new Error('died here')) : store.cursors.set(name, ...rest),
  };
  const died = relay({ store: { events: store.events, leases: store.leases, cursors } });
  await until(async () => (await sequences().catch(() => [])).length === 40);
  await died.stop();
  const next = relay();
  await until(() => next.position === 40);
  expect(await sequences()).toEqual(upTo(40));
});

test('two relays at once leave one copy of each event', async () => {
  await record(store, 200);
  const leases = { acquire: async () => ({ token: 1 }), release: async () => {} };
  const both = [1, 2].map(() => relay({ store: { events: store.events, cursors: store.cursors, leases } }));
  await until(() => both.every((one) => one.position === 200));
  expect((await sequences()).toSorted((a, b) => a - b)).toEqual(upTo(200));
});

test('of two replicas the holder of the lease relays, and the other takes over when it stops', async () => {
  await record(store, 5);
  const first = relay({ leaseMs: 900 });
  await until(() => first.position === 5);
  const second = relay({ leaseMs: 900 });
  await first.stop();
  await record(store, 5);
  await until(() => second.position === 10);
});

test('kill -9 of the server in the middle of publishing loses nothing and stores nothing twice', async () => {
  const running = relay();
  const recording = record(store, 600);
  for (let round = 0; round < 3; round++) {
    await until(() => running.position > round * 100);
    await nats.kill();
    await nats.restart();
  }
  await recording;
  await until(() => running.position === 600, { timeoutMs: 25_000 });
  expect((await sequences()).toSorted((a, b) => a - b)).toEqual(upTo(600));
}, 60_000);

test('a frozen server makes publishes unknown, not failed', async () => {
  const running = relay({ publishTimeoutMs: 300 });
  await record(store, 1);
  await until(() => running.position === 1);
  nats.pause();
  await record(store, 20);
  await new Promise((resolve) => setTimeout(resolve, 900));
  nats.resume();
  await until(() => running.position === 21, { timeoutMs: 20_000 });
  expect(await sequences()).toEqual(upTo(21));
});

test('a deleted stream is made again and refilled from the record, with the same ids', async () => {
  const gaps: Gap[] = [];
  const ids = await record(store, 120);
  const running = relay({ onGap: (gap) => gaps.push(gap) });
  await until(() => running.position === 120);
  await (await bus.manager()).streams.delete('MILLRACE_REGISTRY');
  await record(store, 1);
  await until(() => running.position === 121, { timeoutMs: 20_000 });
  expect((await sequences()).toSorted((a, b) => a - b)).toEqual(upTo(121));
  expect(gaps).toMatchObject([{ context: 'registry', published: 120 }]);
  const held = new Set<string>();
  for await (const message of bus.read('MILLRACE_REGISTRY'))
    held.add(decodeMessage(message.headers, message.data).id);
  expect(ids.every((id) => held.has(id))).toBe(true);
});

test.each([
  ['at the beginning', [1, 2, 3]],
  ['in the middle', [20, 21, 40]],
  ['at the end', [58, 59, 60]],
])('messages lost %s are noticed and published again', async (_, lost) => {
  const gaps: Gap[] = [];
  await record(store, 60);
  const running = relay({ onGap: (gap) => gaps.push(gap) });
  await until(() => running.position === 60);
  expect(await running.check()).toBeUndefined();
  const manager = await bus.manager();
  for (const sequence of lost) await manager.streams.deleteMessage('MILLRACE_REGISTRY', sequence);
  expect(await running.check()).toMatchObject({ published: lost.length });
  expect((await sequences()).toSorted((a, b) => a - b)).toEqual(upTo(60));
  expect(await running.check()).toBeUndefined();
  expect(gaps).toHaveLength(1);
});

test('a loss is noticed although publishing goes on before it is looked for', async () => {
  const gaps: Gap[] = [];
  const [streams, older] = [join(nats.dataDir, 'jetstream'), join(folder.path, 'older')];
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const { promise: held, resolve: hold } = Promise.withResolvers<void>();
  const gated: Bus = Object.create(bus, {
    send: {
      value: async (message: OutgoingMessage) => {
        if (message.headers?.get('ce-sequence') === '121') {
          hold();
          await opened;
        }
        return bus.send(message);
      },
    },
  });
  const running = relay({ bus: gated, onGap: (gap) => gaps.push(gap) });
  await record(store, 60);
  await until(() => running.position === 60);
  await nats.kill();
  cpSync(streams, older, { recursive: true });
  await nats.restart();
  await record(store, 1);
  await until(() => running.position === 61);
  await running.check();
  await record(store, 59);
  await until(() => running.position === 120);
  await record(store, 1);
  await held;
  await nats.kill();
  rmSync(streams, { recursive: true });
  cpSync(older, streams, { recursive: true });
  await until(() => !bus.connected);
  await nats.restart();
  await until(() => bus.connected);
  open();
  await until(() => gaps.length > 0 && running.position === 121);
  expect(gaps).toMatchObject([{ published: 60 }]);
  expect((await sequences()).toSorted((a, b) => a - b)).toEqual(upTo(121));
});

test('a stream is put back although events are recorded all the time', async () => {
  let recorded = await record(store, 100).then((ids) => ids.length);
  // One more whenever the stream is read: there is always something that it does not have yet.
  async function* readAndRecord(...options: Parameters<Bus['read']>) {
    yield* bus.read(...options);
    recorded += (await record(store, 1)).length;
  }
  const running = relay({ bus: Object.create(bus, { read: { value: readAndRecord } }) });
  await until(() => running.position === 100);
  await (await bus.manager()).streams.deleteMessage('MILLRACE_REGISTRY', 50);
  expect(await running.check()).toMatchObject({ published: 1 });
  await until(() => running.position === recorded);
  expect((await sequences()).toSorted((a, b) => a - b)).toEqual(upTo(recorded));
});

test('the place that is remembered is the last, although another relay got a later event there first', async () => {
  await record(store, 2);
  await ensureStream(bus, 'registry');
  const [second] = await store.events.read({ after: 1, limit: 1 });
  await sendEvent(bus, second!);
  const running = relay();
  await until(() => running.position === 2);
  expect(await sequences()).toEqual([2, 1]);
  const remembered = ['newest-at', 'newest'].map((part) => store.cursors.get(`relay-registry/${part}`));
  expect(await Promise.all(remembered)).toEqual([2, 1]);
});

test('an event that the server remembers and does not have is published all the same', async () => {
  await record(store, 2);
  await ensureStream(bus, 'registry');
  const [first] = await store.events.read({ after: 0, limit: 1 });
  const { seq } = await sendEvent(bus, first!);
  await bus.removeMessage('MILLRACE_REGISTRY', seq);
  const running = relay();
  await until(() => running.position === 2);
  expect((await sequences()).toSorted()).toEqual([1, 2]);
});

test('what is lost of a stream that was empty at the last look is noticed', async () => {
  const running = relay();
  await until(async () => (await bus.readState('MILLRACE_REGISTRY')) !== undefined);
  await running.check();
  await record(store, 3);
  await until(() => running.position === 3);
  for (const seq of [1, 2, 3]) await bus.removeMessage('MILLRACE_REGISTRY', seq);
  await record(store, 2);
  await until(() => running.position === 5);
  expect(await running.check()).toMatchObject({ published: 3 });
  expect((await sequences()).toSorted()).toEqual([1, 2, 3, 4, 5]);
});

test('a refill of a whole stream publishes nothing', async () => {
  await record(store, 30);
  const running = relay();
  await until(() => running.position === 30);
  expect(await refillStream({ store, bus, context: 'registry' })).toMatchObject({
    published: 0,
    present: 30,
  });
});
