import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Health } from '@millrace/contracts/grpc-health';
import { createClient, grpcTransport } from '@millrace/rpc';
import { findEndpoints } from '@millrace/sdk';
import { tempDir, until } from '@millrace/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { endpointsFile, startSuite } from '../src/index.ts';
import { freePort } from '../src/suite/ports.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const folder = tempDir('millrace-cli-');
const started = new Set<ChildProcess>();
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL');
  await folder.remove();
});

interface Ready {
  readonly services: Readonly<Record<string, string>>;
  readonly processes: Readonly<Record<string, number>>;
}

/** Starts `millrace up --json`; its first document tells that it is ready. */
async function up(dataDir: string) {
  const args = [main, 'up', '--json', '--data-dir', dataDir, '--port-base', String(await freePort())];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  started.add(child);
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const ready = new Promise<Ready | undefined>((resolve) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)));
    void exited.then(() => resolve(undefined));
  });
  return { child, ready: await ready, exited, errors: () => stderr };
}

/** Runs the command on a folder and gives what it printed. */
function millrace(dataDir: string, ...args: string[]) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [main, ...args, '--data-dir', dataDir]);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

async function serves(address: string): Promise<boolean> {
  const transport = grpcTransport({ address });
  try {
    const { status } = await createClient(Health, transport, { deadlineMs: 2_000 }).check({});
    return status === 1;
  } catch {
    return false;
  } finally {
    transport.close();
  }
}

/** Whether a process runs; one that has ended and only waits to be noticed does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const order = [
  'Entity',
  'FeatureView',
  'Model',
  'Gate',
  'Pipeline',
  'Schedule',
  'Trigger',
  'Deployment',
  'Monitor',
];

/** One of each kind that needs no file, what depends on others first. */
const resources = `kind: Deployment
metadata: { name: flight-delay }
spec: { targets: [{ model: flight delay, alias: champion, weight: 1 }], logging: { mode: whole } }
---
kind: Monitor
metadata: { name: delays }
spec:
  deployment: flight-delay
  window: { length: 7d, offset: 4d }
  alert_rules: [{ id: drift, metric: drift.share, comparison: greater_or_equal, threshold: 0.5 }]
---
kind: Trigger
metadata: { name: on-drift }
spec: { pipeline: retrain, event_type: millrace.monitoring.alert.raised.v1, cool_down: 1h }
---
kind: Schedule
metadata: { name: nightly }
spec: { pipeline: retrain, cron: "0 3 * * *", paused: true, parameters: { week: "8" } }
---
kind: Pipeline
metadata: { name: retrain }
spec:
  parameters: [{ name: week, type: string, default_value: "1" }]
  steps: [{ name: hello, command: { argv: [echo, "week \${params.week}"] }, timeout: 30s }]
---
kind: Gate
metadata: { name: better, model: flight delay }
spec: { alias: champion, expression: candidate.metrics.auc > champion.metrics.auc, allow_first: true }
---
kind: Model
metadata: { name: flight delay }
spec: { description: "late?", tags: { team: flights } }
---
kind: FeatureView
metadata: { name: origin_delays }
spec:
  entities: [origin]
  timestamp_column: landed
  columns: [{ name: origin, type: string }, { name: landed, type: timestamp }, { name: delay, type: double }]
  aggregations: [{ name: mean_3h, function: mean, column: delay, window: 3h }]
---
kind: Entity
metadata: { name: origin }
spec: { join_keys: [{ name: origin, type: string }] }
`;

describe('millrace demo', () => {
  it('empties no folder but its own', async () => {
    const dataDir = join(folder.path, 'precious');
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'thesis.txt'), 'years of work');
    expect(await millrace(dataDir, 'demo')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is not empty/),
    });
    expect(existsSync(join(dataDir, 'thesis.txt'))).toBe(true);
  });
});

describe('millrace up', () => {
  it('runs all six, refuses a second suite, restarts what dies, applies, and stops without a trace', async () => {
    const dataDir = join(folder.path, 'suite');
    const { child, ready, exited, errors } = await up(dataDir);
    expect(ready, errors()).toBeDefined();
    const { services, processes } = ready!;
    expect(Object.keys(services)).toHaveLength(6);
    expect(findEndpoints({ MILLRACE_DATA_DIR: dataDir }).services).toEqual(services);
    for (const address of Object.values(services)) expect(await serves(address), address).toBe(true);

    const second = await up(dataDir);
    expect(await second.exited).toBe(1);
    expect(second.errors()).toMatch(/already runs a suite/);

    process.kill(processes.registry!, 'SIGKILL');
    await until(() => !isAlive(processes.registry!));
    await until(() => serves(services.registry!), { timeoutMs: 15_000 });

    const file = join(folder.path, 'all.yaml');
    writeFileSync(file, resources);
    const wanted = (outcome: string) => order.map((kind) => expect.stringMatching(`^${outcome} +${kind} `));
    const applied = async (outcome: string, ...options: string[]) => {
      const done = await millrace(dataDir, 'apply', '-f', file, ...options);
      expect(done.stderr).toBe('');
      expect(done.stdout.trimEnd().split('\n')).toEqual(wanted(outcome));
    };
    await applied('would create', '--dry-run');
    await applied('created');
    await applied('unchanged');
    await applied('unchanged', '--dry-run');
    const run = await millrace(dataDir, 'pipelines', 'run', 'retrain', '-p', 'week=7', '--watch');
    expect(run).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/hello succeeded[\s\S]*run succeeded/),
    });
    const wrong = join(folder.path, 'wrong.yaml');
    writeFileSync(wrong, resources.replace('weight: 1', 'weight: 0'));
    expect(await millrace(dataDir, 'apply', '-f', wrong)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/wrong\.yaml:\d+ \(document 1\): spec\.targets: /),
    });
    const list = await millrace(dataDir, 'models', 'list', '--json');
    expect(JSON.parse(list.stdout)).toMatchObject([{ description: 'late?' }]);
    expect((await millrace(dataDir, 'events', 'list', '--type', 'model.created')).stdout).toMatch(
      /registry\.model\.created +models\/flight%20delay/,
    );
    await until(async () => (await millrace(dataDir, 'doctor', '--deep')).code === 0, { timeoutMs: 15_000 });

    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    for (const [name, pid] of Object.entries(processes)) expect(isAlive(pid), name).toBe(false);
    expect(existsSync(join(dataDir, endpointsFile))).toBe(false);
  }, 90_000);

  it('leaves no service behind when it is killed, and its folder to the next one', async () => {
    const dataDir = join(folder.path, 'killed');
    const { child, ready, exited } = await up(dataDir);
    child.kill('SIGKILL');
    await exited;
    const { 'nats-server': nats, ...services } = ready!.processes;
    await until(() => Object.values(services).every((pid) => !isAlive(pid)), { timeoutMs: 20_000 });
    const next = await up(dataDir);
    expect(next.ready, next.errors()).toBeDefined();
    expect(isAlive(nats!)).toBe(false);
    next.child.kill('SIGINT');
    expect(await next.exited).toBe(0);
  }, 90_000);

  it('says which service cannot start and why, notes taken ports, and leaves nothing running', async () => {
    const dataDir = join(folder.path, 'broken');
    mkdirSync(dataDir);
    writeFileSync(join(dataDir, 'tracking'), 'not a folder');
    const portBase = await freePort();
    const server = createServer().listen(portBase + 1, '127.0.0.1');
    const lines: string[] = [];
    const only = ['tracking', 'registry'];
    const starting = startSuite({ dataDir, portBase, only, onLine: (line) => lines.push(line) });
    await expect(starting).rejects.toThrow(
      /tracking could not start: it ended with exit code 1[\s\S]*EEXIST|ENOTDIR/,
    );
    server.close();
    expect(lines).toContainEqual(expect.stringMatching(`port ${portBase + 1} is taken; registry listens on`));
    expect(existsSync(join(dataDir, 'suite.lock'))).toBe(false);
  }, 60_000);
});
