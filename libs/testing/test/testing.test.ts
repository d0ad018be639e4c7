import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { connectBus } from '@millrace/events';
import { expect, test } from 'vitest';
import {
  fakeClock,
  freePort,
  startFaultProxy,
  startNats,
  startService,
  tempDir,
  until,
} from '../src/index.ts';

test('a temporary folder goes away', async () => {
  let path: string;
  {
    await using folder = tempDir();
    path = folder.path;
    expect(existsSync(path)).toBe(true);
  }
  expect(existsSync(path)).toBe(false);
});

test('free ports are free and differ', async () => {
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  expect(new Set(ports).size).toBe(3);
  const server = createServer().listen(ports[0], '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  server.close();
});

test('a fake clock stands still until it is moved', () => {
  const clock = fakeClock(100);
  clock.advance(5);
  expect(clock.now()).toBe(105);
  clock.set(7);
  expect(clock.now()).toBe(7);
});

test('nothing outlives a process that was killed', async () => {
  const program = `
    import { startNats } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
    const nats = await startNats();
    console.log(JSON.stringify({ pid: nats.pid, folder: nats.dataDir }));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once('line', resolve),
  );
  const { pid, folder } = JSON.parse(line) as { pid: number; folder: string };
  expect(existsSync(folder)).toBe(true);
  process.kill(pid, 0);
  child.kill('SIGKILL');
  await until(() => !existsSync(folder), { what: 'the removal of the folder' });
});

test('a server keeps its address and data over kill -9', async () => {
  await using nats = await startNats();
  const before = nats.pid;
  await nats.kill();
  await nats.restart();
  expect(nats.pid).not.toBe(before);
  const bus = await connectBus({ url: nats.url, name: 'testing' });
  expect(bus.connected).toBe(true);
  await bus.close();
});

test('a service that cannot start says why', async () => {
  const started = startService('tracking', { env: { LOG_LEVEL: 'no such level', NATS_URL: 'nonsense' } });
  await expect(started).rejects.toThrow(/tracking ended with code [1-9].*before it was ready/s);
});

test('a fault proxy drips, freezes one way, cuts in the middle and closes, and changes no byte', async () => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket).on('error', () => {}));
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  await using proxy = await startFaultProxy(`127.0.0.1:${(echo.address() as AddressInfo).port}`);
  const dial = () => {
    const socket = createConnection({ host: '127.0.0.1', port: proxy.port });
    const chunks: Buffer[] = [];
    socket.on('error', () => {}).on('data', (chunk) => chunks.push(chunk));
    return { socket, chunks, text: () => Buffer.concat(chunks).toString() };
  };
  const first = dial();
  proxy.drip(2);
  first.socket.write('drop by drop');
  await until(() => first.text() === 'drop by drop');
  expect(first.chunks.length).toBeGreaterThan(3);
  proxy.drip(0);

  proxy.freeze('down');
  first.socket.write(', up');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(first.text()).toBe('drop by drop');
  proxy.thaw();
  await until(() => first.text() === 'drop by drop, up');
  proxy.close();
  await until(() => first.socket.readableEnded);

  const second = dial();
  proxy.cutAfter(5);
  second.socket.write('0123456789');
  await until(() => second.socket.destroyed);
  expect(second.text()).toBe('01234');
  await until(() => proxy.connections === 0);
  echo.close();
});

test('a fault proxy delays, freezes and cuts', async () => {
  await using nats = await startNats();
  await using proxy = await startFaultProxy(nats.url);
  const bus = await connectBus({ url: `nats://${proxy.address}`, name: 'proxied' });
  const roundTripMs = async () => {
    const begun = performance.now();
    await (await bus.connection()).flush();
    return performance.now() - begun;
  };
  proxy.delay(100);
  expect(await roundTripMs()).toBeGreaterThan(190);
  proxy.delay(0);
  proxy.freeze();
  const frozen = roundTripMs();
  await new Promise((resolve) => setTimeout(resolve, 300));
  proxy.thaw();
  expect(await frozen).toBeGreaterThan(290);
  let connections = 0;
  bus.onConnect(() => connections++);
  proxy.cut();
  await until(() => connections === 1);
  await bus.close();
});
