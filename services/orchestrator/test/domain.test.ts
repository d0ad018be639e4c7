import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideRun } from '../src/domain/decide-run.ts';
import { decideTask } from '../src/domain/decide-task.ts';
import { backoffMs, mayRetry } from '../src/domain/retry.ts';
import { isTerminalRun, runStates } from '../src/domain/run.ts';
import { defaults, type PipelineSpec } from '../src/domain/spec.ts';
import { isTerminalTask, newTask, taskStates } from '../src/domain/task.ts';
import { newRun, simulate, type World } from './simulate.ts';
import { output, spec, step } from './specs.ts';

const policy = { ...defaults.retry, nonRetryableExitCodes: [] as number[] };

/** Graphs of up to eight steps, edges only backwards; some fan out, some exit, some may fail. */
const specs: fc.Arbitrary<PipelineSpec> = fc
  .record({
    steps: fc.array(
      fc.record({
        ups: fc.array(fc.nat(7), { maxLength: 3 }),
        fan: fc.boolean(),
        parallel: fc.nat(3),
        tolerated: fc.nat(2),
        attempts: fc.integer({ min: 1, max: 3 }),
        allowFailure: fc.boolean(),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    exits: fc.nat(2),
    policy: fc.constantFrom('fail_fast' as const, 'continue' as const),
    maxParallel: fc.integer({ min: 1, max: 5 }),
    timeoutMs: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
  })
  .map(({ steps, exits, policy: failurePolicy, maxParallel, timeoutMs }) =>
    spec(
      steps.map((s, i) =>
        step(`s${i}`, ['true'], {
          dependsOn: [...new Set(s.ups.filter((u) => u < i).map((u) => `s${u}`))],
          retry: { ...policy, maxAttempts: s.attempts, initialBackoffMs: 10 },
          allowFailure: s.allowFailure,
          ...(s.fan
            ? { forEach: { items: [], maxParallel: s.parallel, toleratedFailures: s.tolerated } }
            : {}),
        }),
      ),
      {
        exitSteps: Array.from({ length: exits }, (_, i) => step(`exit${i}`)),
        failurePolicy,
        maxParallel,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      },
    ),
  );

const worlds: fc.Arbitrary<World> = fc
  .record({
    ends: fc.infiniteStream(
      fc.constantFrom('succeeded', 'succeeded', 'succeeded', 'failed', 'timed_out', 'lost'),
    ),
    picks: fc.infiniteStream(fc.nat(100)),
    sizes: fc.infiniteStream(fc.nat(6)),
    cancelAt: fc.option(fc.nat(30), { nil: undefined }),
    restartAt: fc.array(fc.nat(40), { maxLength: 3 }),
  })
  .map(({ ends, picks, sizes, cancelAt, restartAt }) => ({
    end: () => {
      const state = ends.next().value as 'succeeded' | 'failed' | 'timed_out' | 'lost';
      return state === 'lost' ? undefined : { state, reason: 'so it was' };
    },
    items: () => Array.from({ length: sizes.next().value }, (_, i) => i),
    pick: (running: number) => (running === 0 ? 0 : picks.next().value % running),
    ...(cancelAt === undefined ? {} : { cancelAt }),
    restartAt,
  }));

describe('every run', () => {
  test('ends, keeps its limits and starts no step early, whatever happens', () => {
    fc.assert(
      fc.property(specs, worlds, (of, world) => {
        const { view, problems, maxRunning } = simulate(of, world);
        expect(problems).toEqual([]);
        expect(isTerminalRun(view.run.state)).toBe(true);
        expect([...view.tasks.values()].filter((t) => !isTerminalTask(t.state))).toEqual([]);
        expect(maxRunning).toBeLessThanOrEqual(of.maxParallel);
        const exits = of.exitSteps.map((s) => view.tasks.get(s.name)?.attempts.length ?? 0);
        expect(exits.every((attempts) => attempts >= 1)).toBe(true);
        const failed = of.steps.some(
          (s) => !s.allowFailure && ['failed', 'timed_out'].includes(view.tasks.get(s.name)?.state ?? ''),
        );
        if (view.run.state === 'succeeded') expect(failed).toBe(false);
      }),
      { numRuns: 600 },
    );
  });

  test('succeeds when every attempt does', () => {
    fc.assert(
      fc.property(specs, (of) => {
        const { timeoutMs: _, ...patient } = of;
        const world: World = {
          end: () => ({ state: 'succeeded', reason: '' }),
          items: () => [1, 2, 3],
          pick: () => 0,
        };
        const { view, problems } = simulate(patient, world);
        expect(problems).toEqual([]);
        expect(view.run.state).toBe('succeeded');
      }),
      { numRuns: 100 },
    );
  });
});

describe('state machines', () => {
  test('a terminal task refuses every command', () => {
    const task = newTask({ project: 'p', run: 'r', key: 'a', step: 'a', exit: false }, 0);
    for (const state of taskStates.filter(isTerminalTask))
      for (const command of [
        { do: 'claim', host: 'h' },
        { do: 'settle', state: 'cancelled', reason: '' },
        { do: 'lose', fence: 1, reason: '', retry: true },
      ] as const)
        expect(decideTask({ ...task, state }, command, 1)).toEqual({
          refused: expect.stringContaining('final'),
        });
  });

  test('a terminal run refuses every command', () => {
    const run = newRun(spec([step('a')]));
    for (const state of runStates.filter(isTerminalRun))
      expect(decideRun({ ...run, state }, { do: 'start', fence: 0 }, 1)).toEqual({
        refused: expect.stringContaining('final'),
      });
  });

  test('an old fence is refused', () => {
    const fresh = newTask({ project: 'p', run: 'r', key: 'a', step: 'a', exit: false }, 0);
    const claimed = decideTask(fresh, { do: 'claim', host: 'one' }, 1);
    if ('refused' in claimed) throw new Error(claimed.refused);
    const adopted = decideTask(claimed.task, { do: 'adopt' }, 2);
    if ('refused' in adopted) throw new Error(adopted.refused);
    const ending = { state: 'succeeded', reason: '' } as const;
    const late = decideTask(adopted.task, { do: 'finish', fence: 1, ending, retry: policy, random: 0 }, 3);
    expect(late).toEqual({ refused: 'the attempt is held with fence 2, not 1' });
    const real = decideTask(adopted.task, { do: 'finish', fence: 2, ending, retry: policy, random: 0 }, 3);
    expect('task' in real && real.task.state).toBe('succeeded');
  });
});

describe('retries', () => {
  test('the wait grows by the factor, up to the most, with jitter', () => {
    const p = { ...policy, initialBackoffMs: 100, factor: 3, maxBackoffMs: 1000, jitter: 0.5 };
    expect([1, 2, 3, 4].map((n) => backoffMs(p, n, 0.5))).toEqual([100, 300, 900, 1000]);
    expect([0, 0.5, 0.9999].map((r) => backoffMs(p, 1, r))).toEqual([50, 100, 150]);
  });
  test('exit codes that are final are not retried', () => {
    const p = { ...policy, maxAttempts: 3, nonRetryableExitCodes: [2] };
    expect([mayRetry(p, 1, 1), mayRetry(p, 1, 2), mayRetry(p, 3, 1), mayRetry(p, 1, undefined)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });
});

describe('conditions and skipping', () => {
  const succeed: World = {
    end: () => ({ state: 'succeeded', reason: '', outputs: [{ name: 'y', kind: 'value', value: 7 }] }),
    items: () => [],
    pick: () => 0,
  };
  test('a false condition skips, and skips what needs its outputs but not what only comes after', () => {
    const { view } = simulate(
      spec(
        [
          step('a', ['x'], { command: { outputs: [output('y')] } }),
          step('b', ['x'], {
            when: 'params.n > 3 && steps.a.outputs.y == 8',
            command: { outputs: [output('y')] },
          }),
          step('c', ['${steps.b.outputs.y}']),
          step('d', ['x'], { dependsOn: ['b'] }),
          step('e', ['x'], { when: "steps.b.state == 'SKIPPED' && steps.a.outputs.y == 7" }),
        ],
        { parameters: [{ name: 'n', type: 'int', defaultValue: 4, description: '' }] },
      ),
      succeed,
    );
    expect(Object.fromEntries([...view.tasks].map(([k, t]) => [k, t.state]))).toEqual({
      a: 'succeeded',
      b: 'skipped',
      c: 'skipped',
      d: 'succeeded',
      e: 'succeeded',
    });
    expect(view.tasks.get('c')?.reason).toContain('${steps.b.outputs.y}');
  });
});
