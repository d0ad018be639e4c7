import { decideRun } from '../src/domain/decide-run.ts';
import { decideTask, type Ending, type TaskCommand } from '../src/domain/decide-task.ts';
import { graphOf } from '../src/domain/graph.ts';
import type { Json } from '../src/domain/json.ts';
import { plan } from '../src/domain/plan.ts';
import { isTerminalRun, type Run } from '../src/domain/run.ts';
import type { PipelineSpec } from '../src/domain/spec.ts';
import { isDone, isTerminalTask, type Task } from '../src/domain/task.ts';
import { createView, itemTask, putTask, type RunView } from '../src/domain/view.ts';
import { createExpressions } from '../src/expressions.ts';

const expressions = createExpressions();

/** What happens to attempts, decided by the test. */
export interface World {
  /** How an attempt ends, given its task and how many attempts there were; undefined loses it. */
  end(task: Task): Ending | undefined;
  items(task: Task): readonly Json[];
  /** Index of which running attempt ends next, out of `running`. */
  pick(running: number): number;
  /** Cancel the run at this round. */
  cancelAt?: number;
  /** Forget everything in memory at these rounds, as a kill would. */
  restartAt?: readonly number[];
}

export interface Simulated {
  readonly view: RunView;
  readonly rounds: number;
  readonly maxRunning: number;
  readonly problems: readonly string[];
}

export function newRun(spec: PipelineSpec, rest: Partial<Run> = {}): Run {
  return {
    project: 'default',
    id: 'r1',
    pipeline: 'p',
    version: 1,
    parameters: spec.parameters.map((p) => ({ name: p.name, value: p.defaultValue ?? null })),
    tags: [],
    noCache: false,
    origin: { kind: 'request' },
    state: 'pending',
    reason: '',
    createdAtMs: 0,
    ...rest,
  };
}

/** Drives a run by its plan, without processes or stores, and checks the invariants at each step. */
export function simulate(spec: PipelineSpec, world: World): Simulated {
  const graph = graphOf(spec, expressions);
  let view = createView(newRun(spec), graph, []);
  const problems: string[] = [];
  let nowMs = 0;
  let maxRunning = 0;
  let rounds = 0;
  const final = new Map<string, string>();

  const put = (task: Task, command: TaskCommand) => {
    const decision = decideTask(task, command, nowMs);
    if ('refused' in decision) return void problems.push(`${task.key} ${command.do}: ${decision.refused}`);
    const { task: next } = decision;
    if (next.attempts.filter((a) => a.state === 'succeeded').length > 1)
      problems.push(`${task.key}: two successes`);
    const was = final.get(task.key);
    if (was && was !== next.state) problems.push(`${task.key}: ${was} became ${next.state}`);
    if (isTerminalTask(next.state)) final.set(task.key, next.state);
    if (command.do === 'claim')
      for (const name of graph.get(task.step)?.upstreams ?? [])
        if (!isDone(view.tasks.get(name)?.state ?? 'pending'))
          problems.push(`${task.key} started before ${name}`);
    putTask(view, next);
  };

  for (; rounds < 10_000 && !isTerminalRun(view.run.state); rounds++) {
    if (world.restartAt?.includes(rounds)) view = createView(view.run, graph, [...view.tasks.values()]);
    if (world.cancelAt === rounds) {
      const decision = decideRun(
        view.run,
        { do: 'stop', to: 'cancelled', reason: 'asked', force: false },
        nowMs,
      );
      if (!('refused' in decision)) view.run = decision.run;
    }
    let wake = Number.POSITIVE_INFINITY;
    const stops: string[] = [];
    let did = 0;
    for (const next of [...plan(view, { spec, expressions, nowMs, mayStart: true })]) {
      if (next.do === 'wake') {
        wake = Math.min(wake, next.atMs);
        continue;
      }
      did += 1;
      if (next.do === 'create') putTask(view, next.task);
      else if (next.do === 'run') {
        const { command } = next;
        const decision = decideRun(view.run, command, nowMs);
        if ('refused' in decision) problems.push(`run ${command.do}: ${decision.refused}`);
        else view.run = decision.run;
      } else if (next.do === 'stop') stops.push(next.key);
      else {
        const step = next.key.split('.')[0] ?? '';
        const gathering = view.tasks.get(step)!;
        const task =
          next.do === 'start' && next.index !== undefined
            ? itemTask(view, gathering, next.index, nowMs)
            : view.tasks.get(next.key)!;
        if (next.do === 'start') put(task, { do: 'claim', host: 'h' });
        else if (next.do === 'expand') put(task, { do: 'expand', items: world.items(task) });
        else put(task, next);
      }
    }
    maxRunning = Math.max(maxRunning, view.running.size);
    const running = [...view.running];
    const key = stops[0] ?? running[world.pick(running.length)];
    const task = key === undefined ? undefined : view.tasks.get(key);
    if (task) {
      nowMs += 5;
      const attempt = task.attempts.at(-1)!;
      const ending = stops.includes(task.key)
        ? { state: 'cancelled' as const, reason: 'stopped' }
        : world.end(task);
      const retry = graph.get(task.step)!.step.retry;
      if (ending) put(task, { do: 'finish', fence: attempt.fence, ending, retry, random: 0.5 });
      else
        put(task, { do: 'lose', fence: attempt.fence, reason: 'gone', retry: view.run.stop === undefined });
    } else if (did === 0) {
      if (!Number.isFinite(wake)) {
        problems.push(`nothing to do while the run is ${view.run.state}`);
        break;
      }
      nowMs = wake;
    }
  }
  return { view, rounds, maxRunning, problems };
}
