import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { begin, dial, frame } from './wire.ts';

/**
 * What is sent to a server that no client of ours would send. Each answers what the server should not have done; it has
 * `patienceMs` to refuse or to let go.
 */
export type Attack = (address: string, patienceMs: number) => Promise<string[]>;

/** A method that every server has and that needs no credentials. */
const check = '/grpc.health.v1.Health/Check';
const resourceExhausted = 8;
const mebi = 1024 ** 2;
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

/** The first frame of a call's headers that says that more of them follow. */
const openHeaders = Buffer.from([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]);
/** One more byte of headers: an indexed one. */
const oneMoreHeader = Buffer.from([0, 0, 1, 9, 0, 0, 0, 0, 1, 0x84]);

export const attacks: Readonly<Record<string, Attack>> = {
  async 'messages that are larger than allowed'(address, patienceMs) {
    const session = dial(address);
    const lying = begin(session, check);
    lying.stream.write(frame(Buffer.alloc(10), 0x7fffffff));
    const large = begin(session, check);
    large.stream.write(frame(Buffer.alloc(100), 500 * mebi));
    const statuses = await within(patienceMs, Promise.all([lying.status, large.status]));
    session.destroy();
    return wrong('messages that are too large', statuses, resourceExhausted);
  },

  async 'messages that unpack to a hundred times their size'(address, patienceMs) {
    const session = dial(address);
    const bomb = await promisify(gzip)(Buffer.alloc(120 * mebi));
    const calls = Array.from({ length: 4 }, () => begin(session, check, { 'grpc-encoding': 'gzip' }));
    for (const { stream } of calls) stream.end(frame(bomb, bomb.length, true));
    const statuses = await within(patienceMs, Promise.all(calls.map(({ status }) => status)));
    session.destroy();
    return wrong('bombs', statuses, resourceExhausted);
  },

  async 'requests that never end, many at once'(address, patienceMs) {
    const session = dial(address);
    const calls = Array.from({ length: 40 }, () => begin(session, check));
    // Made once: good clients in this process must have their turns meanwhile.
    const part = frame(Buffer.alloc(7 * mebi), 8 * mebi);
    for (const { stream } of calls) stream.write(part);
    const over = await within(
      patienceMs,
      countOf(
        calls.map(({ status }) => status),
        resourceExhausted,
        10,
      ),
    );
    session.destroy();
    return over ? [] : ['280 MiB of requests that never end were taken on one connection'];
  },

  async 'headers that never end'(address, patienceMs) {
    const held = await open(address, 40);
    for (const socket of held) socket.write(Buffer.concat([preface, settings, openHeaders]));
    const drip = setInterval(() => {
      for (const socket of held) socket.write(oneMoreHeader);
    }, 200);
    const closed = await within(patienceMs, Promise.all(held.map(ended)));
    clearInterval(drip);
    for (const socket of held) socket.destroy();
    return closed ? [] : ['connections whose headers never end stay open'];
  },

  async 'a beginning that never ends'(address, patienceMs) {
    const held = await open(address, 40);
    let at = 0;
    const drip = setInterval(() => {
      const byte = preface.subarray(at % (preface.length - 1), (at % (preface.length - 1)) + 1);
      if (at++ < preface.length - 1) for (const socket of held) socket.write(byte);
    }, 100);
    const closed = await within(patienceMs, Promise.all(held.map(ended)));
    clearInterval(drip);
    for (const socket of held) socket.destroy();
    return closed ? [] : ['connections that never begin stay open'];
  },

  async 'what is no gRPC at all'(address, patienceMs) {
    const texts = [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      '\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003',
      '\0'.repeat(500),
    ];
    const held = await open(address, texts.length);
    for (const [i, socket] of held.entries()) socket.write(Buffer.from(texts[i] ?? '', 'latin1'));
    const closed = await within(patienceMs, Promise.all(held.map(ended)));
    for (const socket of held) socket.destroy();
    return closed ? [] : ['a connection that speaks something else stays open'];
  },

  async 'calls that are taken back at once'(address, patienceMs) {
    const session = dial(address);
    for (let i = 0; i < 20_000 && !session.destroyed; i++) {
      begin(session, check).stream.close(8);
      if (i % 200 === 0) await sleep(1);
    }
    const closed = await within(
      patienceMs,
      new Promise((resolve) => (session.destroyed ? resolve(true) : session.once('close', resolve))),
    );
    session.destroy();
    return closed ? [] : ['20,000 calls that were taken back at once did not end their connection'];
  },

  async 'headers that are too large or too many'(address, patienceMs) {
    const session = dial(address, { maxSendHeaderBlockLength: 4 * mebi });
    const large = begin(session, check, { 'x-large': 'x'.repeat(200_000) });
    const many = begin(
      session,
      check,
      Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`x-${i}`, 'y'])),
    );
    for (const { stream } of [large, many]) if (!stream.destroyed) stream.end(frame(Buffer.alloc(0)));
    const statuses = await within(patienceMs, Promise.all([large.status, many.status]));
    session.destroy();
    return statuses?.some((status) => status === 0) === false
      ? []
      : ['headers of 200 kB, or 2,000 of them, were taken'];
  },
};

async function open(address: string, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(`tcp://${address}`);
  return Promise.all(
    Array.from({ length: count }, () => {
      const socket = createConnection({ host: hostname, port: Number(port) });
      socket.on('error', () => undefined).resume();
      return new Promise<Socket>((resolve) => socket.once('connect', () => resolve(socket)));
    }),
  );
}

const ended = (socket: Socket) =>
  new Promise<true>((resolve) =>
    socket.destroyed ? resolve(true) : socket.once('close', () => resolve(true)),
  );

async function within<T>(patienceMs: number, work: Promise<T>): Promise<T | undefined> {
  const stop = new AbortController();
  const late = sleep(patienceMs, undefined, { signal: stop.signal }).catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    stop.abort();
  }
}

/** Settles when so many of them have this status. */
function countOf(
  statuses: readonly Promise<number | undefined>[],
  wanted: number,
  count: number,
): Promise<true> {
  let left = count;
  return new Promise((resolve) => {
    for (const one of statuses) void one.then((status) => status === wanted && --left === 0 && resolve(true));
  });
}

function wrong(
  what: string,
  statuses: readonly (number | undefined)[] | undefined,
  wanted: number,
): string[] {
  if (statuses?.every((status) => status === wanted)) return [];
  return [`${what} were answered ${statuses?.join(', ') ?? 'not at all'} instead of ${wanted}`];
}
