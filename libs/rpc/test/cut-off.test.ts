import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { createClient, grpcTransport } from '../src/index.ts';
import { Echo } from './echo.ts';

/** What a call gets whose server or connection ends in the middle, however it ends. */
const ends: Readonly<Record<string, (stream: ServerHttp2Stream) => void>> = {
  'with its stream': (stream) => stream.close(0),
  'with its stream, cancelled': (stream) => stream.close(8),
  'with its stream, refused': (stream) => stream.close(7),
  'with its session': (stream) => stream.session?.destroy(),
  'with its session, cancelled': (stream) => stream.session?.destroy(undefined, 8),
  'with its socket': (stream) => stream.session?.socket.destroy(),
};

it.each(Object.entries(ends))('a call that ends %s was not answered: UNAVAILABLE', async (_, end) => {
  const server = createServer().on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.session?.on('error', () => undefined);
    setTimeout(() => end(stream), 20);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const transport = grpcTransport({ address: `127.0.0.1:${(server.address() as AddressInfo).port}` });
  const echo = createClient(Echo, transport, { deadlineMs: 5000 });
  // Not repeated by the client itself: it carries no request id.
  await expect(echo.setText({ text: 'a' })).rejects.toMatchObject({ kind: 'unavailable' });
  const stream = echo.chat(
    (async function* () {
      yield { text: 'a' };
      await new Promise((resolve) => setTimeout(resolve, 200));
    })(),
  );
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ kind: 'unavailable' });
  transport.close();
  server.close();
});
