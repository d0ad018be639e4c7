import { createServer, type Socket } from 'node:net';
import { freePort, startNats, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AnyEvent,
  type Bus,
  connectBus,
  ensureDeadLetters,
  ensureStream,
  eventToJson,
  publish,
  startNatsServer,
  tail,
} from '../src/index.ts';
import { differences, requireSame } from '../src/nats/settings.ts';
import { aliasMoved, modelCreated } from './fixtures.ts';

let nats: TestNats;
let bus: Bus;

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'bus-test' });
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
});

test('a stream has the settings that were asked for, and keeps them when asked again', async () => {
  const info = async (name = 'MILLRACE_TRACKING') => (await bus.manager()).streams.info(name);
  await ensureStream(bus, 'tracking');
  const { config } = await info();
  expect(config).toMatchObject({
    name: 'MILLRACE_TRACKING',
    subjects: ['millrace.*.tracking.>'],
    retention: 'limits',
    storage: 'file',
    discard: 'old',
    max_age: 7 * 24 * 3600 * 1e9,
    duplicate_window: 600e9,
  });
  await ensureStream(bus, 'tracking', { maxBytes: 2 ** 24 });
  const changed = await info();
  expect(changed.config.max_bytes).toBe(2 ** 24);
  await ensureStream(bus, 'tracking', { maxBytes: 2 ** 24 });
  expect(changed.created).toBe((await info()).created);
  await ensureDeadLetters(bus);
  expect((await info('MILLRACE_DEAD_LETTERS')).config.subjects).toEqual(['millrace-dead.>']);
});

test('a message that names the one before it is stored right behind that one, or not at all', async () => {
  await ensureStream(bus, 'monitoring');
  const send = (id: string, after?: string) =>
    bus.send({
      subject: 'millrace.default.monitoring.test.sent.v1',
      data: new Uint8Array(),
      id,
      ...(after === undefined ? {} : { after }),
    });
  const [a, b, orphan] = await Promise.allSettled([send('a'), send('b', 'a'), send('d', 'c')]);
  expect(a).toMatchObject({ value: { duplicate: false } });
  expect(b).toMatchObject({ value: { duplicate: false } });
  expect(orphan).toMatchObject({ reason: { code: 'OUT_OF_ORDER' } });
  // What the stream has already it does not refuse, wherever it stands.
  expect(await send('b', 'nothing')).toMatchObject({ duplicate: true });
  expect(await send('c', 'b')).toMatchObject({ duplicate: false });
});

test('settings that a server dropped are named', () => {
  expect(differences({ a: 1, b: [1] }, { a: 1, b: [1], c: 3 })).toEqual([]);
  expect(() => requireSame('stream S', { a: 1 }, {})).toThrow(/stream S: a is undefined, not 1/);
});

test('a bus is usable before its server is there', async () => {
  await using folder = tempDir();
  const port = await freePort();
  const early = await connectBus({ url: `nats://127.0.0.1:${port}`, name: 'early', waitMs: 100 });
  expect(early.connected).toBe(false);
  await expect(early.connection()).rejects.toMatchObject({ kind: 'unavailable' });
  const server = await startNatsServer({ dataDir: folder.path, port });
  await until(() => early.connected);
  await ensureStream(early, 'serving');
  await early.close();
  await server.stop();
});

test('a server that is too old is refused by its own words', async () => {
  const sockets = new Set<Socket>();
  const old = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(
      'INFO {"server_id":"x","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576}\r\n',
    );
    socket.on('data', (data) => data.includes('PING') && socket.write('PONG\r\n'));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => old.listen(port, '127.0.0.1', resolve));
  const refused = connectBus({ url: `nats://127.0.0.1:${port}`, name: 'old' });
  await expect(refused).rejects.toMatchObject({
    code: 'NATS_TOO_OLD',
    message: expect.stringContaining('2.9.10'),
  });
  for (const socket of sockets) socket.destroy();
  old.close();
});

test('an address that is none is refused', async () => {
  await expect(connectBus({ url: 'http://x', name: 'bad' })).rejects.toMatchObject({ code: 'INVALID_FIELD' });
});

test('tail follows old and new events of all streams, decoded', async () => {
  await ensureStream(bus, 'registry');
  const before = new Date();
  await publish(bus, modelCreated, { project: 'default', resource: 'projects/default/models/a', data: {} });
  const stop = new AbortController();
  const gather = (options: Parameters<typeof tail>[1]) => {
    const got: AnyEvent[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    void (async () => {
      for await (const event of tail(bus, { ...options, signal: stop.signal, onReady: resolve }))
        got.push(event);
    })();
    return { got, ready: promise };
  };
  const all = gather({ since: 'all' });
  const dated = gather({ since: before, project: 'default' });
  const fresh = gather({ types: [aliasMoved.type] });
  await Promise.all([all.ready, dated.ready, fresh.ready]);
  await publish(bus, aliasMoved, {
    project: 'default',
    resource: 'projects/default/models/a',
    data: { version: 2, alias: 'champion' },
  });
  await until(() => all.got.length === 2 && dated.got.length === 2 && fresh.got.length === 1);
  stop.abort();
  expect(eventToJson(fresh.got[0]!)).toMatchObject({
    specversion: '1.0',
    source: '/millrace/registry/default',
    type: 'millrace.registry.alias.moved.v1',
    subject: 'projects/default/models/a',
    project: 'default',
    data: { version: 2, alias: 'champion' },
  });
});

test('tail goes on after the server was gone', async () => {
  await ensureStream(bus, 'registry');
  const stop = new AbortController();
  const got: string[] = [];
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  void (async () => {
    for await (const event of tail(bus, { signal: stop.signal, onReady: resolve })) got.push(event.resource);
  })();
  await ready;
  const say = (resource: string) => publish(bus, aliasMoved, { project: 'default', resource, data: {} });
  await say('one');
  await nats.kill();
  await nats.restart();
  await until(() => bus.connected);
  await say('two');
  await until(() => got.length === 2, { timeoutMs: 25_000 });
  stop.abort();
  expect(got).toEqual(['one', 'two']);
}, 40_000);
