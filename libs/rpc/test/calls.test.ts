import { isCoded } from '@millrace/errors';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createClient,
  createServer,
  grpcTransport,
  type Logger,
  memoryTransport,
  type RpcServer,
  type Transport,
} from '../src/index.ts';
import { Bare, Echo, echo } from './echo.ts';

const maxMessageBytes = 1024 * 1024;
const lines: { level: string; fields: Record<string, unknown> }[] = [];
const log = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map((level) => [
    level,
    (fields: object) => lines.push({ level, fields: { ...fields } }),
  ]),
) as unknown as Logger;

const { seen, implementation } = echo();
const options = { maxMessageBytes, log, defaultDeadlineMs: 300 };
const server: RpcServer = await createServer({ implementations: [implementation], ...options });
const transports: readonly [string, Transport][] = [
  ['over gRPC', grpcTransport({ address: server.address, maxMessageBytes })],
  ['in memory', memoryTransport([implementation], options)],
];

afterAll(async () => {
  for (const [, transport] of transports) transport.close();
  await server.stop();
});

beforeEach(() => {
  Object.assign(seen, { produced: 0, taken: 0, left: 0, calls: 0 });
  lines.length = 0;
});

async function caught(promise: Promise<unknown>) {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!isCoded(error)) throw new TypeError(`not a coded error: ${String(error)}`);
  return error;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function* texts(...list: readonly string[]) {
  for (const text of list) yield { text, count: 1 };
}

async function eventually(test: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !test(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(test()).toBe(true);
}

describe.each(transports)('calls %s', (_, transport) => {
  const client = createClient(Echo, transport, { deadlineMs: 5000 });

  it('answers unary calls, also with empty messages', async () => {
    const data = new Uint8Array([1, 2, 3]);
    expect(await client.getText({ text: 'Grüße', data })).toMatchObject({ text: 'Grüße', count: 0, data });
    expect((await client.getText({})).text).toBe('');
  });

  it('streams answers', async () => {
    const counts = (await all(client.count({ count: 100 }))).map((m) => m.count);
    expect(counts).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(await all(client.count({ count: 0 }))).toEqual([]);
  });

  it('takes in streams', async () => {
    expect((await client.sum(texts('a', 'b', 'c'))).count).toBe(3);
    expect((await client.sum(texts())).count).toBe(0);
  });

  it('streams both ways, answer by answer', async () => {
    const answers: string[] = [];
    let answered = 0;
    const requests = (async function* () {
      for (let i = 0; i < 5; i++) {
        await eventually(() => answered === i);
        yield { text: String(i) };
      }
    })();
    for await (const answer of client.chat(requests)) {
      answers.push(answer.text);
      answered++;
    }
    expect(answers).toEqual(['0', '1', '2', '3', '4']);
  });

  it('gives handlers their context', async () => {
    const requestId = 'abc-1';
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const metadata = { 'x-request-id': requestId, 'x-colour': 'blue', traceparent };
    await client.getText({}, { metadata, deadlineMs: 2000 });
    const context = seen.context;
    expect(context).toMatchObject({ requestId, traceparent, method: 'millrace.rpctest.v1.Echo/GetText' });
    expect(context?.metadata.get('x-colour')).toBe('blue');
    expect(context?.identity).toEqual({ subject: 'anonymous', permissions: 'all' });
    const leftMs = (context?.deadlineMs ?? 0) - Date.now();
    expect(leftMs).toBeGreaterThan(500);
    expect(leftMs).toBeLessThan(2100);
    context?.log.info({ a: 1 }, 'hello');
    expect(lines.at(-1)).toEqual({ level: 'info', fields: { a: 1, requestId, method: context?.method } });
  });

  it('refuses request ids and trace contexts that are none', async () => {
    await client.getText({}, { metadata: { 'x-request-id': 'a b', traceparent: '00-xyz' } });
    expect(seen.context?.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(seen.context?.traceparent).toBeUndefined();
  });

  it('refuses metadata that headers cannot carry', async () => {
    for (const metadata of [{ 'a b': 'c' }, { 'a-bin': 'c' }, { A: 'c' }, { a: 'ü' }, { a: 'b\nc' }])
      expect((await caught(client.getText({}, { metadata: metadata as never }))).code).toBe('INVALID_FIELD');
  });

  describe('errors', () => {
    it('carry kind, code, message, violations, details and when to retry', async () => {
      expect(await caught(client.getText({ text: 'fail:field' }))).toMatchObject({
        kind: 'invalid_argument',
        code: 'INVALID_FIELD',
        message: 'text: wrong ☃; allowed: right',
        violations: [{ field: 'text', description: 'wrong ☃; allowed: right' }],
      });
      expect(await caught(client.getText({ text: 'fail:busy' }))).toMatchObject({
        kind: 'resource_exhausted',
        code: 'OVERLOADED',
        message: 'the queue is full',
        retryAfterMs: 1500,
        details: { queue: '7' },
      });
    });

    it('do not carry the cause of our own defects, which is logged under the request id', async () => {
      const error = await caught(client.getText({ text: 'fail:plain' }));
      expect(error).toMatchObject({ kind: 'internal', code: 'INTERNAL' });
      expect(error.cause).toBeUndefined();
      expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain(
        'hunter2',
      );
      const line = lines.find((l) => l.level === 'error');
      expect(line?.fields.requestId).toBe(error.details.requestId);
      expect(error.message).toContain(String(error.details.requestId));
      expect(String(line?.fields.err)).toContain('hunter2');
    });

    it('end streams after what was sent before', async () => {
      const counts: number[] = [];
      const run = async () => {
        for await (const m of client.count({ count: 50, text: 'fail:busy' })) counts.push(m.count);
      };
      expect((await caught(run())).code).toBe('OVERLOADED');
      expect(counts).toHaveLength(50);
      expect((await caught(client.sum(texts('a', 'fail:field', 'c')))).code).toBe('INVALID_FIELD');
      expect((await caught(all(client.chat(texts('a', 'fail:plain'))))).kind).toBe('internal');
    });

    it('name the fields that break rules, in each message of a stream', async () => {
      const long = 'x'.repeat(101);
      const error = await caught(client.getText({ text: long, count: -1 }));
      expect(error.violations.map((v) => v.field)).toEqual(['text', 'count']);
      expect(error.violations[0]?.description).toBe('has 101 characters; allowed: at most 100');
      expect((await caught(all(client.count({ count: -1 })))).kind).toBe('invalid_argument');
      expect((await caught(client.sum(texts('a', long)))).kind).toBe('invalid_argument');
      expect((await caught(all(client.chat(texts('a', long))))).kind).toBe('invalid_argument');
    });

    it('come from the caller’s own stream as they are', async () => {
      const own = new RangeError('mine');
      const requests = async function* () {
        yield { count: 1 };
        throw own;
      };
      await expect(client.sum(requests())).rejects.toBe(own);
      await expect(all(client.chat(requests()))).rejects.toBe(own);
      await eventually(() => seen.left === 2);
    });

    it('say that a value does not fit its field, or a method does not exist', async () => {
      expect((await caught(client.getText({ count: 'x' as unknown as number }))).kind).toBe(
        'invalid_argument',
      );
      const bare = createClient(Bare, transport, { deadlineMs: 1000 });
      expect(await caught(bare.getText({}))).toMatchObject({ kind: 'unimplemented', code: 'UNIMPLEMENTED' });
    });

    it('say that a message is too large, and the next call works', async () => {
      const data = new Uint8Array(maxMessageBytes + 1);
      expect((await caught(client.getText({ data }))).code).toBe('TOO_LARGE');
      expect((await caught(client.getText({ text: 'big', count: data.length }))).code).toBe('TOO_LARGE');
      expect((await caught(client.sum(all1({ data })))).code).toBe('TOO_LARGE');
      const fits = await client.getText({ data: data.subarray(0, maxMessageBytes - 100) });
      expect(fits.data).toHaveLength(maxMessageBytes - 100);
    });
  });

  describe('deadlines', () => {
    it('are required of our clients', async () => {
      const free = createClient(Echo, transport);
      expect((await caught(free.getText({}))).code).toBe('DEADLINE_REQUIRED');
      expect((await caught(all(free.count({})))).code).toBe('DEADLINE_REQUIRED');
      expect((await caught(free.sum(texts()))).code).toBe('DEADLINE_REQUIRED');
      expect((await free.getText({ text: 'a' }, { deadlineMs: 1000 })).text).toBe('a');
    });

    it.each(['hang', 'deaf'])('end calls whose handler does %s', async (text) => {
      const short = { deadlineMs: 60 };
      const calls = [
        client.getText({ text }, short),
        all(client.count({ text, count: 1 }, short)),
        client.sum(texts(text), short),
        all(client.chat(texts(text), short)),
      ];
      for (const error of await Promise.all(calls.map(caught))) expect(error.kind).toBe('deadline_exceeded');
    });

    it('fire the signal of the handler', async () => {
      await caught(client.getText({ text: 'deaf' }, { deadlineMs: 60 }));
      await eventually(() => seen.context?.signal.aborted === true);
    });

    it('may be very long, or past', async () => {
      expect((await client.getText({}, { deadlineMs: Number.POSITIVE_INFINITY })).text).toBe('');
      expect((await caught(client.getText({}, { deadlineMs: -1 }))).kind).toBe('deadline_exceeded');
    });
  });

  describe('cancellation', () => {
    it('by signal ends calls at both ends', async () => {
      for (const start of [
        (signal: AbortSignal) => client.getText({ text: 'hang' }, { signal }),
        (signal: AbortSignal) => all(client.count({ text: 'hang', count: 3 }, { signal })),
        (signal: AbortSignal) => client.sum(texts('hang'), { signal }),
        (signal: AbortSignal) => all(client.chat(texts('hang'), { signal })),
      ]) {
        const before = seen.calls;
        const controller = new AbortController();
        const running = caught(start(controller.signal));
        await eventually(() => seen.calls > before);
        controller.abort();
        expect(await running).toMatchObject({ kind: 'cancelled', code: 'CANCELLED' });
        await eventually(() => seen.context?.signal.aborted === true);
      }
      await eventually(() => seen.left === 3);
    });

    it('before the call begins means that it never does', async () => {
      const signal = AbortSignal.abort();
      expect((await caught(client.getText({}, { signal }))).kind).toBe('cancelled');
      expect((await caught(all(client.count({ count: 1 }, { signal })))).kind).toBe('cancelled');
      expect(seen.calls).toBe(0);
    });

    it('by leaving the loop stops the handler', async () => {
      for await (const message of client.count({ count: 1_000_000 })) if (message.count === 10) break;
      await eventually(() => seen.left === 1);
      expect(seen.produced).toBeLessThan(2000);
      for await (const _ of client.chat(texts('a', 'b', 'hang'))) break;
      await eventually(() => seen.left === 2);
    });
  });

  it('holds fast writers back until slow readers catch up', async () => {
    const data = new Uint8Array(64 * 1024);
    // Hundreds of megabytes pass; on a busy machine that takes a while.
    const patient = { deadlineMs: 30_000 };
    const stream = client.count({ count: 5000, data }, patient)[Symbol.asyncIterator]();
    await stream.next();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const produced = seen.produced;
    expect(produced).toBeLessThan(1000);
    for (let i = 0; i < 1200; i++) await stream.next();
    expect(seen.produced).toBeGreaterThan(produced);
    await stream.return?.();

    let given = 0;
    const requests = (async function* () {
      for (; given < 5000; given++) yield { text: given === 0 ? 'slow' : '', data };
    })();
    const sum = client.sum(requests, patient);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(given).toBeLessThan(1000);
    await sum;
    expect(given).toBe(5000);
  });

  it('retries what may be retried, and nothing else', async () => {
    expect((await client.getText({ text: 'fail:once' })).text).toBe('fail:once');
    expect(seen.calls).toBe(3);
    seen.calls = 0;
    expect((await client.setText({ text: 'fail:once', requestId: 'r' })).text).toBe('fail:once');
    expect(seen.calls).toBe(3);
    seen.calls = 0;
    expect((await caught(client.setText({ text: 'fail:once' }))).kind).toBe('unavailable');
    expect(seen.calls).toBe(1);
    await caught(client.getText({ text: 'fail:busy' }));
    expect(seen.calls).toBe(2);
  });

  it('gives up retrying when the deadline would pass', async () => {
    const startMs = performance.now();
    expect((await caught(client.getText({ text: 'fail:away' }, { deadlineMs: 150 }))).kind).toMatch(
      /unavailable|deadline_exceeded/,
    );
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  it('does many calls at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, count) => client.getText({ count, text: 'slow' })),
    );
    expect(answers.map((a) => a.count)).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });
});

it('a call is answered also by a server that is away for longer than a restart takes', async () => {
  const parts = echo();
  const first = await createServer({ implementations: [parts.implementation], ...options });
  const { address } = first;
  const transport = grpcTransport({ address });
  const client = createClient(Echo, transport, { deadlineMs: 15_000 });
  await client.getText({ text: 'before' });
  await first.stop();
  const answer = client.getText({ text: 'meanwhile' });
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const port = Number(address.split(':')[1]);
  const second = await createServer({ implementations: [parts.implementation], ...options, port });
  expect((await answer).text).toBe('meanwhile');
  transport.close();
  await second.stop();
}, 20_000);

async function* all1<T>(value: T) {
  yield value;
}
