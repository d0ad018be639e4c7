import { registryEvents, subjectOf } from '@millrace/contracts';
import { publishRaw, rawHeader, startNats, type TestNats, until } from '@millrace/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Bus,
  connectBus,
  ensureStream,
  handler,
  listDeadLetters,
  noLog,
  publish,
  redrive,
  type Subscription,
  subscribe,
  tail,
} from '../src/index.ts';

/** One consumer that takes one message at a time: whatever stands still stops everything behind it. */
let nats: TestNats;
let bus: Bus;
let subscription: Subscription;
const { aliasMoved } = registryEvents;
const handled = new Set<string>();
const subject = subjectOf(aliasMoved, 'default');

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.url, name: 'hostile-test' });
  await ensureStream(bus, 'registry');
  const on = [handler(aliasMoved, async ({ id }) => void handled.add(id))];
  subscription = await subscribe(bus, { durable: 'hostile', ordered: true, on, log: noLog });
  await subscription.ready;
});
afterAll(async () => {
  await subscription.stop(500);
  await bus.close();
  await nats.kill();
});

/** A good event published now is handled: nothing before it stands in its way. */
async function stillHandles(): Promise<void> {
  const { id } = await publish(bus, aliasMoved, { project: 'default', resource: 'r', data: { version: 1 } });
  await until(() => handled.has(id), { what: 'a good event behind the bad ones is handled' });
}

/** The dead letters that came since the last call. */
let seen = 0;
async function newDead() {
  const letters = await listDeadLetters(bus, { after: seen, limit: 1_000 });
  seen = letters.at(-1)?.sequence ?? seen;
  return letters;
}

const good = {
  'ce-specversion': '1.0',
  'ce-id': 'a',
  'ce-source': '/millrace/registry/default',
  'ce-type': aliasMoved.type,
  'ce-subject': 'projects/default/models/m',
  'ce-time': '2026-01-31T12:00:00Z',
};
const headerOf = (change: Readonly<Record<string, string | undefined>> = {}) =>
  rawHeader(
    ...Object.entries({ ...good, ...change }).flatMap(([k, v]) => (v === undefined ? [] : [`${k}: ${v}`])),
  );

test.each([
  ['no headers at all', undefined],
  ['a name with a space, which clients refuse to read', rawHeader('ce id: x')],
  ['a name that is not UTF-8', rawHeader('ce-\xff\xfe: x')],
  ['an empty name', rawHeader(': x')],
  ['a bare line feed in a value', rawHeader('ce-id: a\nb')],
  ['a bare carriage return in a value', rawHeader('ce-id: a\rb')],
  ['no colon', rawHeader('ce-id')],
  ['another protocol', Buffer.from('HTTP/1.1 200 OK\r\n\r\n')],
  ['the words of the server itself', Buffer.from('NATS/1.0 409 Consumer Deleted\r\n\r\n')],
  ['another version of CloudEvents', headerOf({ 'ce-specversion': '0.3' })],
  ['no id', headerOf({ 'ce-id': undefined })],
  ['an id that would be kept for ever', headerOf({ 'ce-id': 'x'.repeat(2_000) })],
  ['an id with a line end', headerOf({ 'ce-id': 'a%0Ab' })],
  ['half an escape', headerOf({ 'ce-id': '%E0%A4%A' })],
  ['no time', headerOf({ 'ce-time': undefined })],
  ['a time that only JavaScript understands', headerOf({ 'ce-time': '1' })],
  ['a time after the year 9999', headerOf({ 'ce-time': '+275760-09-13T00:00:00Z' })],
  ['a project that is none', headerOf({ 'ce-project': '*' })],
  ['the project of somebody else', headerOf({ 'ce-project': 'other' })],
  ['the type of another event', headerOf({ 'ce-type': 'millrace.registry.model.created.v1' })],
  ['a version to come', headerOf({ 'ce-type': 'millrace.registry.alias.moved.v2' })],
  ['a prototype as its type', headerOf({ 'ce-type': '__proto__' })],
  ['a resource name of 40,000 characters', headerOf({ 'ce-subject': 'x'.repeat(40_000) })],
  ['structured JSON that is none', rawHeader('Content-Type: application/cloudevents+json')],
])('a message with %s becomes a dead letter with its reason', async (_, header) => {
  await newDead();
  await publishRaw(nats.url, [{ subject, ...(header ? { header } : {}), data: Buffer.from([0xff, 0xff]) }]);
  await stillHandles();
  const dead = await newDead();
  expect(dead).toHaveLength(1);
  expect(dead[0]).toMatchObject({ code: 'EVENT_UNDECODABLE', durable: 'hostile', subject });
  expect(dead[0]?.reason).toMatch(/^(not a CloudEvent: |no handler for |it is of )/);
});

test.each([
  ['bytes of another message', 'application/protobuf', Buffer.from([0x0a, 0x7f, 1])],
  ['brackets without end', 'application/json', Buffer.from('['.repeat(500_000))],
  ['brackets 200,000 deep', 'application/json', Buffer.from('['.repeat(200_000) + ']'.repeat(200_000))],
  ['a number where a name belongs', 'application/json', Buffer.from('{"model":{"__proto__":1}}')],
  ['text that is not UTF-8', 'application/json', Buffer.from([0x22, 0xff, 0x22])],
])('data of %s becomes a dead letter', async (_, type, data) => {
  await newDead();
  await publishRaw(nats.url, [{ subject, header: headerOf({ 'ce-datacontenttype': type }), data }]);
  const json = `{"specversion":"1.0","id":"b","source":"/x/default","type":"${aliasMoved.type}","time":"2026-01-31T12:00:00Z","data":`;
  const structured = Buffer.concat([Buffer.from(json), data, Buffer.from('}')]);
  const header = rawHeader('Content-Type: application/cloudevents+json');
  await publishRaw(nats.url, [{ subject, header, data: structured }]);
  await stillHandles();
  expect((await newDead()).map(({ code }) => code)).toEqual(['EVENT_UNDECODABLE', 'EVENT_UNDECODABLE']);
});

test('a message for whose dead letter there would be no room is not taken', async () => {
  await newDead();
  const data = Buffer.alloc(2 ** 20 - 2_000, 1);
  await publishRaw(nats.url, [{ subject, header: headerOf(), data }]);
  await stillHandles();
  // The largest that is taken, with the longest reason.
  const largest = Buffer.alloc(1_000_000, 0xff);
  await publishRaw(nats.url, [
    { subject, header: headerOf({ 'ce-type': '%E4%B8%AD'.repeat(1_500) }), data: largest },
  ]);
  await stillHandles();
  const dead = await newDead();
  expect(dead.map((letter) => letter.data.length)).toEqual([largest.length]);
});

test('random headers and data never stop what comes after them', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(...Object.keys(good), ...Object.values(good)),
  );
  const lines = fc.array(
    fc.tuple(text, text).map(([k, v]) => `${k}: ${v}`),
    { maxLength: 8 },
  );
  const header = fc.oneof(
    lines.map((all) => rawHeader(...all)),
    fc
      .uint8Array({ maxLength: 60 })
      .map((b) => Buffer.concat([Buffer.from('NATS/1.0\r\n'), b, Buffer.from('\r\n\r\n')])),
  );
  const message = fc.record({
    subject: fc.constant(subject),
    header,
    data: fc.uint8Array({ maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 12 }), async (messages) => {
      await newDead();
      await publishRaw(nats.url, messages);
      await stillHandles();
      expect(
        (await newDead()).every(({ code, reason }) => code === 'EVENT_UNDECODABLE' && reason !== ''),
      ).toBe(true);
    }),
    { numRuns: 10 },
  );
});

test('a tail passes over what is no event', async () => {
  const stop = new AbortController();
  const got: string[] = [];
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const following = (async () => {
    for await (const { id } of tail(bus, { signal: stop.signal, onReady: resolve })) got.push(id);
  })();
  await ready;
  await publishRaw(nats.url, [{ subject, header: rawHeader('ce id: x') }]);
  const { id } = await publish(bus, aliasMoved, { project: 'default', resource: 'r', data: {} });
  await until(() => got.includes(id));
  stop.abort();
  await following;
});

test('what others put among the dead letters is neither shown nor redriven', async () => {
  await stillHandles();
  await newDead();
  const notes = (to: string) =>
    rawHeader(`millrace-dead-subject: ${to}`, 'millrace-dead-stream: S', 'millrace-dead-durable: d');
  await publishRaw(nats.url, [
    { subject: 'millrace-dead.S.d', header: rawHeader('millrace dead: x') },
    { subject: 'millrace-dead.S.d', header: rawHeader('millrace-dead-subject: %E0%A4%A') },
    // A redrive would have the service itself delete a stream, or speak to all.
    { subject: 'millrace-dead.S.d', header: notes('$JS.API.STREAM.DELETE.MILLRACE_REGISTRY') },
    { subject: 'millrace-dead.S.d', header: notes('millrace.>') },
    { subject: 'millrace-dead.x', header: notes('millrace.default.registry.alias.moved.v1') },
  ]);
  expect(await newDead()).toEqual([]);
  expect(await redrive(bus, { durable: 'd' })).toBe(0);
});
