import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { trace } from '@opentelemetry/api';
import { expect, test } from 'vitest';
import { setUpTelemetry } from '../src/index.ts';

const index = join(import.meta.dirname, '../src/index.ts');

test('logs are JSON lines on standard error, secrets masked, standard output untouched', () => {
  const program = `import { createLogger } from ${JSON.stringify(index)};
    createLogger({ service: 'x', level: 'info' }).info({ user: { token: 'hidden' }, n: 1 }, 'hello');
    createLogger({ service: 'x', level: 'warn' }).info({}, 'not shown');`;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(ran.stdout).toBe('');
  const lines = ran.stderr.trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'info',
    service: 'x',
    n: 1,
    msg: 'hello',
    user: { token: '***' },
  });
});

test('without an endpoint nothing is recorded', async () => {
  const stop = await setUpTelemetry({ service: 'x' });
  expect(trace.getTracer('t').startSpan('s').isRecording()).toBe(false);
  await stop();
});

test('with an endpoint spans reach the collector at the latest when it stops', async () => {
  const paths: string[] = [];
  const collector = createServer((request, response) => {
    paths.push(request.url ?? '');
    request
      .resume()
      .on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
  });
  await new Promise<void>((done) => collector.listen(0, '127.0.0.1', done));
  const { port } = collector.address() as { port: number };
  const stop = await setUpTelemetry({ service: 'x', endpoint: `http://127.0.0.1:${port}` });
  trace.getTracer('t').startActiveSpan('s', (span) => {
    expect(trace.getActiveSpan()).toBe(span);
    span.end();
  });
  await stop();
  expect(paths).toContain('/v1/traces');
  collector.closeAllConnections();
  await new Promise((done) => collector.close(done));
});
