import { hostname } from 'node:os';
import { OutputKind, ParameterType } from '@millrace/contracts/pipelines';
import { startNats, type TempDir, type TestNats, tempDir, until } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startOf } from '../src/executor/process-identity.ts';
import {
  finished,
  js,
  launch,
  logOf,
  number,
  quick,
  startHere,
  states,
  tasksOf,
  value,
} from './orchestrator.ts';

let nats: TestNats;
let folder: TempDir;
let at: Awaited<ReturnType<typeof startHere>>;
beforeAll(async () => {
  nats = await startNats();
  folder = tempDir();
  at = await startHere({ DATA_DIR: folder.path, NATS_URL: nats.url });
});
afterAll(async () => {
  await at?.stop();
  await nats?.stop();
  await folder?.remove();
});

const json = (name: string) => ({ name, kind: OutputKind.JSON });
const ms = (n: number) => ({ seconds: BigInt(Math.floor(n / 1000)), nanos: (n % 1000) * 1_000_000 });
const list = (...items: number[]) => ({
  source: { case: 'items' as const, value: { values: items.map(number) } },
});

describe('a run', () => {
  test('fans out over an upstream list, in, and passes parameters, values and artifacts', async () => {
    const name = await launch(
      at,
      'fan',
      {
        parameters: [{ name: 'n', type: ParameterType.INT, defaultValue: number(3) }],
        steps: [
          js(
            'list',
            'const n = Number(process.argv[1]); fs.writeFileSync(out + "/l", JSON.stringify([...Array(n).keys()].map((x) => ({ x }))))',
            {
              args: ['${params.n}'],
              command: { outputs: [json('l')] },
            },
          ),
          js(
            'square',
            'const x = Number(process.argv[1]); fs.writeFileSync(out + "/y", String(x * x)); fs.writeFileSync(out + "/f", "<" + x + ">")',
            {
              args: ['${item.x}'],
              forEach: { source: { case: 'template', value: '${steps.list.outputs.l}' }, maxParallel: 2 },
              command: { outputs: [json('y'), { name: 'f', kind: OutputKind.ARTIFACT }] },
            },
          ),
          js(
            'sum',
            'const ys = JSON.parse(process.argv[1]); const i = process.env.MILLRACE_INPUTS + "/parts/"; fs.writeFileSync(out + "/s", JSON.stringify({ sum: ys.reduce((a, b) => a + b), parts: fs.readdirSync(i).map((f) => fs.readFileSync(i + f, "utf8")).join("") }))',
            {
              args: ['${steps.square.outputs.y}'],
              command: {
                inputs: [{ name: 'parts', from: '${steps.square.outputs.f}' }],
                outputs: [json('s')],
              },
            },
          ),
        ],
      },
      { n: number(5) },
    );
    const run = await finished(at, name);
    expect([run.word, run.reason]).toEqual(['SUCCEEDED', '']);
    const tasks = await tasksOf(at, name);
    expect(Object.keys(tasks)).toHaveLength(8);
    expect(value(tasks.sum, 's')).toEqual({ sum: 30, parts: '<0><1><2><3><4>' });
    const chunks: Uint8Array[] = [];
    for await (const { data } of at.runs.downloadTaskOutput({ name: `${name}/tasks/square.4`, output: 'f' }))
      chunks.push(data);
    expect(Buffer.concat(chunks).toString()).toBe('<4>');
  });

  test('fails where an output is nested too deeply to be read by clients, and is read by all of them', async () => {
    const nested = (levels: number) =>
      `fs.writeFileSync(out + "/y", '{"a":'.repeat(${levels}) + '"${'x'.repeat(2000)}"' + '}'.repeat(${levels}))`;
    const outputs = { command: { outputs: [json('y')] } };
    const name = await launch(at, 'deep', {
      failurePolicy: 2,
      steps: [js('most', nested(30), outputs), js('deep', nested(150), outputs)],
    });
    expect((await finished(at, name)).word).toBe('FAILED');
    const { most, deep } = await tasksOf(at, name);
    expect(JSON.stringify(value(most, 'y'))).toContain('{"a":'.repeat(30));
    expect(deep?.reason).toBe(
      'output y is nested too deeply: 150 levels of lists and objects; allowed: at most 30',
    );
    expect(deep?.attempts).toHaveLength(1);
    for await (const { change } of at.runs.watchPipelineRun({ name })) expect(change.case).toBeDefined();
  });

  test('retries with back-off until an attempt succeeds, and not after a final exit code', async () => {
    const retry = { maxAttempts: 3, initialBackoff: ms(20), nonRetryableExitCodes: [7] };
    const name = await launch(at, 'retry', {
      failurePolicy: 2,
      steps: [
        js('third', 'process.exit(process.env.MILLRACE_ATTEMPT === "3" ? 0 : 1)', { retry }),
        js('final', 'process.exit(7)', { retry }),
        js('after', '', { dependsOn: ['final'] }),
      ],
    });
    expect((await finished(at, name)).word).toBe('FAILED');
    const tasks = await tasksOf(at, name);
    expect(states(tasks)).toEqual({ third: 'SUCCEEDED', final: 'FAILED', after: 'UPSTREAM_FAILED' });
    expect([tasks.third?.attempts.length, tasks.final?.attempts.length]).toEqual([3, 1]);
    expect(tasks.final?.reason).toBe('exit code 7');
    expect(tasks.final?.attempts[0]?.host).toBe(hostname());
    expect(tasks.after?.reason).toBe('step final is FAILED');
  });

  test('times out: the step, and the whole run', async () => {
    const sleep = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
    const one = await launch(at, 'slow', {
      steps: [js('slow', sleep, { timeout: ms(300), command: { stopGrace: ms(100) } })],
    });
    expect((await finished(at, one)).word).toBe('FAILED');
    expect((await tasksOf(at, one)).slow).toMatchObject({
      word: 'TIMED_OUT',
      attempts: [{ signal: 'SIGKILL' }],
    });
    const two = await launch(at, 'slow-run', {
      timeout: ms(300),
      steps: [js('slow', sleep, { command: { stopGrace: ms(100) } })],
    });
    expect((await finished(at, two)).word).toBe('TIMED_OUT');
  });

  test('skips by its condition, runs its exit steps after a failure, and fails fast', async () => {
    const name = await launch(at, 'exit', {
      steps: [
        quick('skipped', { when: 'run.project == "other"' }),
        js('bad', 'process.exit(1)'),
        js('long', 'setInterval(() => {}, 1000)', { command: { stopGrace: ms(100) } }),
      ],
      exitSteps: [
        js('tell', 'console.log(process.argv[1])', { args: ['${run.state}'] }),
        quick('never', { when: 'run.state == "SUCCEEDED"' }),
      ],
    });
    const run = await finished(at, name);
    expect([run.word, run.reason]).toEqual(['FAILED', 'step bad is FAILED: exit code 1']);
    const tasks = await tasksOf(at, name);
    expect(states(tasks)).toEqual({
      skipped: 'SKIPPED',
      bad: 'FAILED',
      long: 'CANCELLED',
      tell: 'SUCCEEDED',
      never: 'SKIPPED',
    });
    expect(await logOf(at, `${name}/tasks/tell`)).toBe('FAILED\n');
  });

  test('masks secrets in logs, and never shows them', async () => {
    const step = js('s', 'console.log("it is " + process.env.TOKEN)', {
      command: { env: [{ name: 'TOKEN', value: 'open-sesame', secret: true }] },
    });
    const name = await launch(at, 'secret', { steps: [step] });
    expect(await logOf(at, `${name}/tasks/s`, true)).toBe('it is ***\n');
    const { pipeline } = await at.pipelines.getPipeline({ name: 'projects/default/pipelines/secret' });
    expect(JSON.stringify(pipeline, (_, v) => (typeof v === 'bigint' ? String(v) : v))).not.toContain(
      'open-sesame',
    );
  });

  test('is cancelled without leaving a process', async () => {
    const code =
      'require("child_process").spawn(process.execPath, ["-e", "console.log(process.pid); setInterval(() => {}, 1000)"], { stdio: "inherit" }); process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
    const name = await launch(at, 'cancel', {
      steps: [
        js('item', code, { forEach: list(...Array(6).keys()), command: { stopGrace: ms(200) } }),
        quick('after', { dependsOn: ['item'] }),
      ],
    });
    const pids = await until(async () => {
      const logs = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => logOf(at, `${name}/tasks/item.${i}`)));
      return logs.every((log) => log.endsWith('\n')) && logs.map(Number);
    });
    await at.runs.cancelPipelineRun({ name, reason: 'enough' });
    const run = await finished(at, name);
    expect([run.word, run.reason]).toEqual(['CANCELLED', 'enough']);
    await until(() => pids.every((pid) => startOf(pid) === undefined));
    expect(new Set(Object.values(states(await tasksOf(at, name))))).toEqual(new Set(['CANCELLED']));
    await expect(at.runs.cancelPipelineRun({ name })).rejects.toMatchObject({ code: 'WRONG_STATE' });
  });

  test('does not take a 0 for success when it is the answer to being stopped', async () => {
    const polite =
      'process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000); console.log("up")';
    const timed = await launch(at, 'polite-timeout', { steps: [js('a', polite, { timeout: ms(1500) })] });
    const cancelled = await launch(at, 'polite-cancel', { steps: [js('a', polite)] });
    await until(async () => (await logOf(at, `${cancelled}/tasks/a`)) === 'up\n');
    await at.runs.cancelPipelineRun({ name: cancelled });
    await finished(at, cancelled);
    expect(states(await tasksOf(at, cancelled))).toEqual({ a: 'CANCELLED' });
    await finished(at, timed);
    expect(states(await tasksOf(at, timed))).toEqual({ a: 'TIMED_OUT' });
  });

  test('is cancelled at any moment, also while its processes start', async () => {
    const code = 'setInterval(() => {}, 1000)';
    for (const waitMs of [0, 3, 6, 10, 20, 40]) {
      const step = js('a', code, { forEach: list(1, 2, 3), command: { stopGrace: ms(100) } });
      const name = await launch(at, 'any-moment', { steps: [step] });
      await new Promise((settle) => setTimeout(settle, waitMs));
      await at.runs.cancelPipelineRun({ name });
      expect((await finished(at, name)).word).toBe('CANCELLED');
    }
  });

  test('reuses results by key, once for several at the same time, and not with no_cache', async () => {
    const code = 'fs.writeFileSync(out + "/y", process.argv[1] + "0"); console.log("computed")';
    const steps = [
      js('a', code, {
        args: ['${params.x}'],
        cache: { cacheVersion: '1' },
        command: { outputs: [json('y')] },
      }),
      js('b', code, {
        args: ['${params.x}'],
        cache: { cacheVersion: '1' },
        command: { outputs: [json('y')] },
      }),
    ];
    const parameters = [{ name: 'x', type: ParameterType.INT }];
    const first = await launch(at, 'cache', { parameters, steps }, { x: number(4) });
    await finished(at, first);
    const one = await tasksOf(at, first);
    expect(Object.values(states(one)).sort()).toEqual(['CACHED', 'SUCCEEDED']);
    expect([value(one.a, 'y'), value(one.b, 'y')]).toEqual([40, 40]);
    const second = await launch(at, 'cache', { parameters, steps }, { x: number(4) });
    await finished(at, second);
    expect(states(await tasksOf(at, second))).toEqual({ a: 'CACHED', b: 'CACHED' });
    const other = await launch(at, 'cache', { parameters, steps }, { x: number(5) });
    await finished(at, other);
    expect(value((await tasksOf(at, other)).b, 'y')).toBe(50);
  });

  test('is repeated from its failure', async () => {
    const marker = `${folder.path}/marker`;
    const name = await launch(at, 'again', {
      steps: [
        js('a', 'fs.writeFileSync(out + "/y", String(Date.now()))', { command: { outputs: [json('y')] } }),
        js('b', `process.exit(fs.existsSync(${JSON.stringify(marker)}) ? 0 : 1)`, {
          args: ['${steps.a.outputs.y}'],
        }),
      ],
    });
    expect((await finished(at, name)).word).toBe('FAILED');
    await import('node:fs').then((fs) => fs.writeFileSync(marker, ''));
    const { pipelineRun } = await at.runs.retryPipelineRun({ name });
    expect(pipelineRun?.retryOf).toBe(name);
    expect((await finished(at, pipelineRun!.name)).word).toBe('SUCCEEDED');
    const [before, after] = [await tasksOf(at, name), await tasksOf(at, pipelineRun!.name)];
    expect(states(after)).toEqual({ a: 'CACHED', b: 'SUCCEEDED' });
    expect(value(after.a, 'y')).toBe(value(before.a, 'y'));
  });

  test('can be followed, and waits for its turn', async () => {
    const spec = { maxConcurrentRuns: 1, steps: [js('a', 'setTimeout(() => {}, 300)')] };
    const [one, two] = [await launch(at, 'turn', spec), await launch(at, 'turn', spec)];
    const seen: string[] = [];
    for await (const { change } of at.runs.watchPipelineRun({ name: two }))
      seen.push(change.case === 'task' ? `task ${change.value.state}` : `run ${change.value?.state}`);
    expect(seen[0]).toBe('run 1');
    expect(seen.at(-1)).toBe('run 5');
    const [a, b] = [await finished(at, one), await finished(at, two)];
    expect(Number(b.startTime!.seconds) * 1000 + b.startTime!.nanos / 1e6).toBeGreaterThanOrEqual(
      Number(a.endTime!.seconds) * 1000 + a.endTime!.nanos / 1e6,
    );
  });

  test('of 400 items costs little for each', async () => {
    const name = await launch(at, 'wide', {
      steps: [quick('item', { forEach: list(...Array(400).keys()) })],
    });
    expect((await finished(at, name)).word).toBe('SUCCEEDED');
    const run = await at.runs.getPipelineRun({ name });
    expect(run.pipelineRun?.taskCounts.map((c) => c.count)).toEqual([401]);
  }, 60_000);
});
