import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LineageService } from '@millrace/contracts/registry';
import { createClient, grpcTransport } from '@millrace/rpc';
import type { ReadyLine } from '@millrace/service';
import { tempDir } from '@millrace/testing';
import { afterAll, expect, test } from 'vitest';

const child = fileURLToPath(new URL('./child.ts', import.meta.url));
const folder = tempDir('millrace-run-');
const running: ChildProcess[] = [];
afterAll(async () => {
  for (const process of running) process.kill('SIGKILL');
  await folder.remove();
});

/** Nothing listens here: a service starts without NATS. */
const NATS_URL = 'nats://127.0.0.1:1';

function run(env: Record<string, string>, args: readonly string[] = []) {
  const process_ = spawn(process.execPath, [child, ...args], {
    env: { PATH: process.env.PATH, DATA_DIR: folder.path, NATS_URL, LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(process_);
  let out = '';
  let err = '';
  process_.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  process_.stderr.on('data', (data: Buffer) => {
    err += data.toString();
  });
  const ended = once(process_, 'close').then(([code]) => ({ code: code as number | null, out, err }));
  const ready = async () => {
    while (!out.includes('\n')) await Promise.race([once(process_.stdout, 'data'), ended]);
    return JSON.parse(out.split('\n')[0] ?? '') as ReadyLine;
  };
  return { process: process_, ready, ended };
}

test('it prints one ready line, and SIGTERM lets the calls under way finish', async () => {
  const service = run({});
  const line = await service.ready();
  expect(line).toMatchObject({ ready: true, service: 'registry' });
  const transport = grpcTransport({ address: line.address });
  const client = createClient(LineageService, transport, { deadlineMs: 10_000 });
  await client.getLineage({ resource: 'projects/default/models/m/versions/1' });
  const slow = client.getLineage({ resource: 'projects/default/models/m/versions/800' });
  await new Promise((done) => setTimeout(done, 200));
  service.process.kill('SIGTERM');
  await slow;
  transport.close();
  const { code, out, err } = await service.ended;
  expect(code).toBe(0);
  expect(out.trim().split('\n')).toHaveLength(1);
  expect(err).toContain('registry has stopped');
});

test('calls that take longer than DRAIN_MS are ended', async () => {
  const service = run({ DRAIN_MS: '200' });
  const { address } = await service.ready();
  const transport = grpcTransport({ address });
  const client = createClient(LineageService, transport, { deadlineMs: 60_000 });
  const slow = client.getLineage({ resource: 'projects/default/models/m/versions/30000' });
  slow.catch(() => {});
  await new Promise((done) => setTimeout(done, 200));
  const begun = performance.now();
  service.process.kill('SIGTERM');
  const { code } = await service.ended;
  expect(code).toBe(0);
  expect(performance.now() - begun).toBeLessThan(10_000);
  await expect(slow).rejects.toMatchObject({ kind: expect.stringMatching(/unavailable|cancelled/) });
  transport.close();
});

test('wrong settings end it with 2 and every problem at once', async () => {
  const { code, out, err } = await run({ PORT: '70000', LOG_LEVEL: 'loud', AUTH_TOKEN: 'short' }).ended;
  expect(code).toBe(2);
  expect(out).toBe('');
  for (const name of ['PORT', 'LOG_LEVEL', 'AUTH_TOKEN']) expect(err).toContain(name);
  expect(err).not.toContain('short');
});

test('--print-config shows the settings, secrets masked, and starts nothing', async () => {
  const env = { AUTH_TOKEN: 'a-token-of-some-length', PORT: '4711' };
  const { code, out } = await run(env, ['--print-config']).ended;
  expect(code).toBe(0);
  expect(out).toContain('PORT=4711');
  expect(out).toContain('AUTH_TOKEN=***');
  expect(out).not.toContain('"ready"');
});

test('a start that fails ends it with 1 and says why', async () => {
  const { code, err } = await run({ HOST: '0.0.0.0' }).ended;
  expect(code).toBe(1);
  expect(err).toContain('registry could not start: a server on 0.0.0.0 needs authentication');
});
