import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '@millrace/errors';
import { startFaultProxy, startNats, type TestNats, until } from '@millrace/testing';
import { headers } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../src/clock.ts';
import {
  type Bus,
  type Clock,
  connectBus,
  type Event,
  ensureStream,
  type Handler,
  handler,
  listDeadLetters,
  noLog,
  publish,
  redrive,
  type SubscribeOptions,
  type Subscription,
  subscribe,
} from '../src/index.ts';
import { aliasMoved, modelCreated } from './fixtures.ts';

let nats: TestNats;
let bus: Bus;
let count = 0;
const subscriptions: Subscription[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'subscribe-test' });
});
beforeEach(async () => {
  await ensureStream(bus, 'registry');
});
afterEach(async () => {
  await Promise.all(subscriptions.splice(0).map((one) => one.stop()));
  const manager = await bus.manager();
  for (const name of ['MILLRACE_REGISTRY', 'MILLRACE_DEAD_LETTERS'])
    await manager.streams.delete(name).catch(() => {});
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
});

async function start(on: readonly Handler[], options: Partial<SubscribeOptions> = {}): Promise<Subscription> {
  const durable = `test-${++count}`;
  const started = await subscribe(bus, { durable, on, log: noLog, retryMs: [10, 20], ...options });
  subscriptions.push(started);
  return started;
}

const say = (version: number, resource = 'projects/default/models/m') =>
  publish(bus, aliasMoved, { project: 'default', resource, data: { name: resource, version } });

test('a handler gets what was published, typed', async () => {
  const got: Event<typeof aliasMoved.schema>[] = [];
  await start([handler(aliasMoved, async (event) => void got.push(event))]);
  const { id } = await say(7);
  await until(() => got.length === 1);
  expect(got[0]).toMatchObject({ id, project: 'default', resource: 'projects/default/models/m', attempt: 1 });
  expect(got[0]?.data.version).toBe(7);
  expect(got[0]?.definition.type).toBe('millrace.registry.alias.moved.v1');
});

test('the same id published twice is one event', async () => {
  const got: string[] = [];
  await start([handler(aliasMoved, async (event) => void got.push(event.id))]);
  const input = { project: 'default', resource: 'r', data: {}, id: 'same' };
  expect((await publish(bus, aliasMoved, input)).duplicate).toBe(false);
  expect((await publish(bus, aliasMoved, input)).duplicate).toBe(true);
  await say(1);
  await until(() => got.length === 2);
  expect(got.filter((id) => id === 'same')).toHaveLength(1);
});

test('a handler that throws is tried again; retryAfterMs of a coded error is kept to', async () => {
  const at: number[] = [];
  await start([
    handler(aliasMoved, async (event) => {
      at.push(performance.now());
      const later = { retryAfterMs: 300 };
      if (event.attempt === 1) throw new CodedError('unavailable', 'UNAVAILABLE', 'not now', later);
      if (event.attempt === 2) throw new Error('again');
    }),
  ]);
  await say(1);
  await until(() => at.length === 3);
  expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(290);
  expect(await listDeadLetters(bus)).toEqual([]);
});

test('waits are spread, so that what failed together does not come back together', async () => {
  const waits: number[] = [];
  const sleep: Clock['sleep'] = (ms, signal) => {
    waits.push(ms);
    return systemClock.sleep(Math.min(ms, 50), signal);
  };
  let calls = 0;
  const on = [
    handler(aliasMoved, async () => {
      if (++calls === 1) throw new Error('not yet');
    }),
  ];
  await start(on, { retryMs: [1_000], clock: { ...systemClock, sleep }, random: () => 0.5 });
  await say(1);
  await until(() => calls === 2);
  expect(waits).toContain(1_125);
});

test('events about one resource stay in order through failures; others go on', async () => {
  const got: string[] = [];
  await start([
    handler(aliasMoved, async (event) => {
      if (event.resource === 'a' && event.data.version === 0 && event.attempt < 3) throw new Error('not yet');
      got.push(`${event.resource}${event.data.version}`);
    }),
  ]);
  for (let version = 0; version < 5; version++)
    for (const resource of ['a', 'b']) await say(version, resource);
  await until(() => got.length === 10);
  expect(got.filter((one) => one.startsWith('a'))).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
  expect(got.filter((one) => one.startsWith('b'))).toEqual(['b0', 'b1', 'b2', 'b3', 'b4']);
  expect(got[0]).toBe('b0');
});

test('ordered handles one at a time over replicas', async () => {
  const got: number[] = [];
  let running = 0;
  let most = 0;
  const on = [
    handler(aliasMoved, async (event) => {
      most = Math.max(most, ++running);
      await sleep(2);
      got.push(event.data.version);
      running--;
    }),
  ];
  await start(on, { durable: 'ordered', ordered: true });
  await start(on, { durable: 'ordered', ordered: true });
  for (let version = 0; version < 30; version++) await say(version, `r${version}`);
  await until(() => got.length === 30);
  expect(got).toEqual(Array.from({ length: 30 }, (_, index) => index));
  expect(most).toBe(1);
});

test('what cannot be handled becomes a dead letter with its reason, others progress, and it can be redriven', async () => {
  const got: number[] = [];
  const other: number[] = [];
  let broken = true;
  const durable = 'repairable';
  await start([handler(aliasMoved, async (event) => void other.push(event.data.version))]);
  await start(
    [
      handler(aliasMoved, async (event) => {
        if (broken && event.data.version === 1) throw new Error('the disk of the model store is gone');
        got.push(event.data.version);
      }),
    ],
    { durable },
  );
  const { id } = await say(1, 'a');
  await say(2, 'b');
  const [letter] = await until(async () => {
    const letters = await listDeadLetters(bus, { durable });
    return letters.length > 0 && letters;
  });
  expect(letter).toMatchObject({
    stream: 'MILLRACE_REGISTRY',
    durable,
    attempts: 3,
    reason: 'the disk of the model store is gone',
    subject: 'millrace.default.registry.alias.moved.v1',
    event: { id, type: aliasMoved.type, resource: 'a' },
  });
  expect(got).toEqual([2]);
  broken = false;
  expect(await redrive(bus, { durable })).toBe(1);
  await until(() => got.length === 2);
  expect(got).toEqual([2, 1]);
  await until(async () => (await listDeadLetters(bus)).length === 0);
  await sleep(100);
  expect(other.toSorted()).toEqual([1, 2]);
  await expect(redrive(bus, { sequence: 999 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test.each([
  ['no CloudEvents headers', {}],
  ['a body that is not the message', { 'ce-specversion': '1.0', 'ce-id': 'x', 'ce-source': '/s/default' }],
])('a message with %s becomes a dead letter at once', async (_, extra) => {
  let calls = 0;
  const { durable } = await start([handler(aliasMoved, async () => void calls++)], { retryMs: [60_000] });
  const found = headers();
  for (const [name, value] of Object.entries(extra)) found.set(name, value);
  found.set('ce-type', aliasMoved.type);
  found.set('ce-time', '2026-01-01T00:00:00Z');
  const client = await bus.jetstream();
  const subject = 'millrace.default.registry.alias.moved.v1';
  await client.publish(subject, new Uint8Array([255, 255]), { headers: found });
  const letters = await until(async () => {
    const all = await listDeadLetters(bus, { durable });
    return all.length > 0 && all;
  });
  expect(letters[0]).toMatchObject({ code: 'EVENT_UNDECODABLE', attempts: 1 });
  expect(calls).toBe(0);
});

test('a message in JSON, binary or structured, is handled too', async () => {
  const got: number[] = [];
  await start([handler(aliasMoved, async (event) => void got.push(event.data.version))]);
  const client = await bus.jetstream();
  const subject = 'millrace.default.registry.alias.moved.v1';
  const attributes = { specversion: '1.0', id: 'j1', source: '/ext/default', type: aliasMoved.type };
  const binary = headers();
  for (const [name, value] of Object.entries(attributes)) binary.set(`CE-${name}`, value);
  binary.set('ce-time', '2026-01-01T00:00:00Z');
  binary.set('ce-datacontenttype', 'application/json');
  await client.publish(subject, JSON.stringify({ version: 5 }), { headers: binary });
  const structured = headers();
  structured.set('Content-Type', 'Application/CloudEvents+json; charset=utf-8');
  const body = { ...attributes, id: 'j2', time: '2026-01-01T00:00:00Z', data: { version: 6 } };
  await client.publish(subject, JSON.stringify(body), { headers: structured });
  await until(() => got.length === 2);
  expect(got.toSorted()).toEqual([5, 6]);
});

test('a crash after handling and before acknowledging means a second delivery', async () => {
  const attempts: number[] = [];
  const on = [handler(aliasMoved, async (event) => void attempts.push(event.attempt))];
  await using proxy = await startFaultProxy(nats.url);
  const other = await connectBus({ url: `nats://${proxy.address}`, name: 'dies' });
  const frozen = [
    handler(aliasMoved, async (event) => {
      attempts.push(event.attempt);
      proxy.freeze();
    }),
  ];
  const died = await subscribe(other, { durable: 'crash', on: frozen, log: noLog, ackWaitMs: 600 });
  await say(1);
  await until(() => attempts.length === 1);
  await died.stop(0);
  proxy.cut();
  await start(on, { durable: 'crash', ackWaitMs: 600 });
  await until(() => attempts.length === 2);
  expect(attempts).toEqual([1, 2]);
});

test('a place that another message has taken since is not acknowledged', async () => {
  const attempts: number[] = [];
  let isOther = true;
  let reconnections = 0;
  const came = Object.create(bus, {
    connections: { get: () => bus.connections + reconnections },
    readMessage: {
      value: async (stream: string, seq: number) => {
        const held = await bus.readMessage(stream, seq);
        return held && isOther ? { ...held, headers: new Map([['ce-id', 'another']]) } : held;
      },
    },
  }) as Bus;
  const on = [
    handler(aliasMoved, async (event) => {
      attempts.push(event.attempt);
      reconnections++;
    }),
  ];
  const durable = 'place';
  const subscription = await subscribe(came, { durable, on, log: noLog, ackWaitMs: 600, retryMs: [10, 20] });
  subscriptions.push(subscription);
  const pending = async () =>
    (await (await bus.manager()).consumers.info('MILLRACE_REGISTRY', durable)).num_ack_pending;
  await say(1);
  await until(() => attempts.length === 1);
  await sleep(100);
  expect(await pending()).toBe(1);
  isOther = false;
  await until(async () => attempts.length === 2 && (await pending()) === 0);
});

test('handling goes on after kill -9 of the server', async () => {
  const got = new Set<number>();
  await start([handler(aliasMoved, async (event) => void got.add(event.data.version))], { ackWaitMs: 1_000 });
  for (let version = 0; version < 20; version++) await say(version, `r${version}`);
  await nats.kill();
  await nats.restart();
  for (let version = 20; version < 40; version++) await say(version, `r${version}`);
  await until(() => got.size === 40);
});

test('stop lets a running handler end and gives the rest back', async () => {
  const done: number[] = [];
  const slow = [
    handler(aliasMoved, async (event) => {
      await sleep(200);
      done.push(event.data.version);
    }),
  ];
  const first = await start(slow, { durable: 'stops', ordered: true });
  for (const version of [1, 2, 3]) await say(version);
  await sleep(100);
  await first.stop();
  expect(done).toEqual([1]);
  await start(slow, { durable: 'stops', ordered: true });
  await until(() => done.length === 3);
  expect(done).toEqual([1, 2, 3]);
});

test('a subscription waits for a stream that does not exist, and survives its loss', async () => {
  const manager = await bus.manager();
  await manager.streams.delete('MILLRACE_REGISTRY');
  const got: number[] = [];
  await start([handler(aliasMoved, async (event) => void got.push(event.data.version))]);
  await sleep(200);
  await ensureStream(bus, 'registry');
  await say(1);
  await until(() => got.length === 1);
  await manager.streams.delete('MILLRACE_REGISTRY');
  await ensureStream(bus, 'registry');
  await say(2);
  await until(() => got.length === 2, { timeoutMs: 20_000 });
});

test('new begins with what happens next; the filter is by type and project', async () => {
  await say(1);
  const got: string[] = [];
  const options = { from: 'new', project: 'default' } as const;
  const { ready } = await start(
    [handler(aliasMoved, async (event) => void got.push(event.project))],
    options,
  );
  await ready;
  await publish(bus, modelCreated, { project: 'default', resource: 'r', data: {} });
  await publish(bus, aliasMoved, { project: 'other', resource: 'r', data: {} });
  await say(2);
  await until(() => got.length === 1);
  await sleep(100);
  expect(got).toEqual(['default']);
});

test('a bad name and doubled handlers are refused', async () => {
  const one = handler(aliasMoved, async () => {});
  await expect(start([one], { durable: 'a.b' })).rejects.toMatchObject({ code: 'INVALID_FIELD' });
  await expect(start([one, one])).rejects.toMatchObject({ code: 'INVALID_FIELD' });
  await expect(start([])).rejects.toMatchObject({ code: 'INVALID_FIELD' });
});
