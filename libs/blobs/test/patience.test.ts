import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createTransport, patiently, readOn } from '../src/patience.ts';

const stops: (() => unknown)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** Asks a server that answers as told, the way the client of the object store asks. */
async function asking(answer: (response: ServerResponse, time: number) => void, stallMs = 5_000) {
  let times = 0;
  const server = createServer((_, response) => answer(response, ++times));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { transport, transportAgent } = createTransport(false, stallMs);
  stops.push(
    () => server.close(),
    () => server.closeAllConnections(),
    () => transportAgent.destroy(),
  );
  const { port } = server.address() as AddressInfo;
  const ask = () =>
    new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
      transport
        .request({ host: '127.0.0.1', port, agent: transportAgent }, resolve)
        .on('error', reject)
        .end();
    });
  return { ask, times: () => times };
}

const status = (code: number) => (response: ServerResponse) => void response.writeHead(code).end('<Error/>');

test('a store that is busy twice is asked a third time', async () => {
  const { ask, times } = await asking((response, time) => status(time < 3 ? 503 : 200)(response));
  await patiently(ask);
  expect(times()).toBe(3);
});

test.each([429, 500, 502, 503, 504])(
  'a store that answers nothing but %d is UNAVAILABLE in the end',
  async (code) => {
    const { ask, times } = await asking(status(code));
    await expect(patiently(ask)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(times()).toBe(4);
  },
);

test('what may not be done twice is done once', async () => {
  const { ask, times } = await asking(status(503));
  await expect(patiently(ask, 1)).rejects.toMatchObject({ kind: 'unavailable' });
  expect(times()).toBe(1);
});

test('a refusal is no reason to ask again', async () => {
  const { ask, times } = await asking(status(403));
  await patiently(ask);
  expect(times()).toBe(1);
});

test('a store that freezes is given up', async () => {
  const { ask } = await asking(() => undefined, 50);
  await expect(patiently(ask)).rejects.toMatchObject({ kind: 'unavailable' });
});

test('a range that breaks off, freezes or ends early is read on from where it stopped', async () => {
  const bytes = Buffer.from(Array.from({ length: 100 }, (_, i) => i));
  const offsets: number[] = [];
  const { ask } = await asking((response, time) => {
    const part = bytes.subarray(offsets.at(-1));
    if (time === 1) response.writeHead(200, { 'content-length': part.length }).write(part.subarray(0, 30));
    else if (time === 2) setTimeout(() => response.destroy(), 50);
    else if (time === 3) response.end(part.subarray(0, 20));
    else response.end(part);
    if (time === 2) response.writeHead(200, { 'content-length': part.length }).write(part.subarray(0, 10));
  }, 200);
  const open = (offset: number) => {
    offsets.push(offset);
    return ask();
  };
  const read: Uint8Array[] = [];
  for await (const chunk of readOn(open, 5, 95)) read.push(chunk);
  expect(offsets).toEqual([5, 35, 45, 65]);
  expect(Buffer.concat(read)).toEqual(bytes.subarray(5));
});
