import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient, createServer, grpcTransport, type ServerOptions } from '../src/index.ts';
import { Echo, echo } from './echo.ts';

/** What a server lets its callers make it hold: bytes, calls that never begin, connections. */
const started: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of started.splice(0).reverse()) await stop();
});

async function start(options: Partial<ServerOptions> = {}) {
  const { implementation } = echo();
  const server = await createServer({ implementations: [implementation], ...options });
  started.push(() => server.stop());
  const transport = grpcTransport({ address: server.address });
  started.push(() => transport.close());
  return { server, client: createClient(Echo, transport, { deadlineMs: 5000 }) };
}

/** A connection that does what no decent client does. */
function rude(address: string): ClientHttp2Session {
  // It reads no answer, only headers.
  const session = connect(`http://${address}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  started.push(() => session.destroy());
  return session;
}

function ask(session: ClientHttp2Session, method: string): ClientHttp2Stream {
  const path = `/millrace.rpctest.v1.Echo/${method}`;
  const call = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request(call);
  stream.on('error', () => undefined);
  stream.resume();
  return stream;
}

/** The status of a call, or undefined when it ended without one. */
const statusOf = (stream: ClientHttp2Stream) =>
  new Promise<number | undefined>((resolve) => {
    stream.on('response', (headers) => headers['grpc-status'] && resolve(Number(headers['grpc-status'])));
    stream.on('trailers', (headers) => resolve(Number(headers['grpc-status'])));
    stream.on('close', () => resolve(undefined));
  });

async function eventually(test: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !test(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(test()).toBe(true);
}

/** The beginning of a message that says it has `size` bytes. */
function begun(size: number, sent: number): Buffer {
  const bytes = Buffer.alloc(5 + sent);
  bytes.writeUInt32BE(size, 1);
  return bytes;
}

describe('bytes that are held', () => {
  it('are bounded for each connection, however many messages they are spread over', async () => {
    const { server, client } = await start({ maxMessageBytes: 10_000, maxHeldBytes: 50_000 });
    const session = rude(server.address);
    const streams = Array.from({ length: 40 }, () => ask(session, 'GetText'));
    const statuses = streams.map(statusOf);
    for (const stream of streams) stream.write(begun(9_999, 9_000));
    const refused = await Promise.all(statuses.slice(10));
    expect(new Set(refused)).toEqual(new Set([8]));
    expect((await client.getText({ text: 'a' })).text).toBe('a');
  });

  it('are bounded also when they come one by one', async () => {
    const { server, client } = await start({ maxMessageBytes: 10_000, maxHeldBytes: 50_000 });
    const stream = ask(rude(server.address), 'GetText');
    const status = statusOf(stream);
    stream.write(begun(9_999, 0));
    for (let i = 0; i < 300 && !stream.destroyed; i++)
      await new Promise((resolve) => stream.write(Buffer.alloc(1), resolve));
    expect(await status).toBe(8);
    expect((await client.getText({ text: 'a' })).text).toBe('a');
  });

  it('are no more those of a stream once its handler has taken them', async () => {
    const { client } = await start({ maxMessageBytes: 10_000, maxHeldBytes: 50_000 });
    const data = new Uint8Array(9_000);
    const many = async function* () {
      for (let i = 0; i < 200; i++) yield { data, count: 1 };
    };
    expect((await client.sum(many())).count).toBe(200);
    for (let i = 0; i < 30; i++) expect((await client.getText({ data })).data.length).toBe(9_000);
  });

  it('are bounded where answers are not read: the connection is closed', async () => {
    const { server, client } = await start({ maxHeldBytes: 1_000_000 });
    const session = rude(server.address);
    // text = 'big', count = 60,000: so many bytes come back
    const request = Buffer.from([0, 0, 0, 0, 9, 0x0a, 3, 0x62, 0x69, 0x67, 0x10, 0xe0, 0xd4, 0x03]);
    for (let i = 0; i < 100; i++) ask(session, 'GetText').end(request);
    await eventually(() => session.destroyed);
    expect((await client.getText({ text: 'a' })).text).toBe('a');
  });
});

describe.each(['GetText', 'Count'])('a request of %s that does not arrive', (method) => {
  it.each(['at all', 'whole'])('%s ends after the time that a call has', async (how) => {
    const { server, client } = await start({ defaultDeadlineMs: 200 });
    const stream = ask(rude(server.address), method);
    if (how === 'whole') stream.write(begun(1000, 10));
    expect(await statusOf(stream)).toBe(4);
    expect((await client.getText({ text: 'a' })).text).toBe('a');
  });
});

describe('connections', () => {
  it('beyond the limit are closed, and taken again when there is room', async () => {
    const { server, client } = await start({ maxConnections: 3 });
    await client.getText({});
    const taken = (session: ClientHttp2Session) =>
      new Promise<boolean>((resolve) => {
        session.once('remoteSettings', () => resolve(true));
        session.once('close', () => resolve(false));
      });
    const others = [rude(server.address), rude(server.address)];
    expect(await Promise.all(others.map(taken))).toEqual([true, true]);
    expect(await taken(rude(server.address))).toBe(false);
    expect((await client.getText({ text: 'a' })).text).toBe('a');
    others[0]?.destroy();
    for (let i = 0; i < 100 && !(await taken(rude(server.address))); i++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await client.getText({ text: 'a' })).text).toBe('a');
    expect(await taken(rude(server.address))).toBe(false);
  });

  it('without calls are closed, and their clients connect again', async () => {
    const { server, client } = await start({ idleMs: 100 });
    const session = rude(server.address);
    for (let i = 0; i < 8; i++) {
      expect((await client.getText({ text: 'a' })).text).toBe('a');
      await new Promise((resolve) => setTimeout(resolve, 40 * i));
    }
    await eventually(() => session.destroyed);
  });
});
