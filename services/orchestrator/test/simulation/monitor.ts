import { fromBinary } from '@bufbuild/protobuf';
import { pipelinesEvents } from '@millrace/contracts/pipelines-events';
import type { EventDraft } from '@millrace/documents';
import { runStateOf, taskStateOf, wordFor } from '../../src/convert/states.ts';
import { type Graph, graphOf } from '../../src/domain/graph.ts';
import { isTerminalRun, type Run, type RunState, runTransitions } from '../../src/domain/run.ts';
import type { Schedule } from '../../src/domain/schedule.ts';
import type { PipelineSpec } from '../../src/domain/spec.ts';
import { type Attempt, isDone, isTerminalTask, type Task } from '../../src/domain/task.ts';
import type { Trigger } from '../../src/domain/trigger.ts';
import { createExpressions } from '../../src/expressions.ts';
import type { Commit } from './faulty-store.ts';
import type { Life } from './life.ts';

/** Looks at every commit and keeps what must hold under any faults. */
export interface Monitor {
  onCommit(commit: Commit): void;
  readonly runs: ReadonlyMap<string, Run>;
  readonly tasks: ReadonlyMap<string, Task>;
  /** What starts runs by itself; its limits are kept too. */
  readonly origins: { schedule?: Schedule; trigger?: Trigger };
  /** The schedule as an orchestrator wrote it last. */
  schedule(): Schedule | undefined;
}

export interface MonitorOptions {
  readonly specs: ReadonlyMap<string, PipelineSpec>;
  readonly cpuOf: (host: string) => number;
  onBreach(breach: string): void;
  say(who: string, what: string): void;
}

/**
 * A claim that takes effect so long after it was asked for may be that of a holder of before. Nothing spans documents, so
 * it counts when it comes, above a limit or not; its process is not started before somebody takes it over.
 */
const lateMs = 1000;

export function createMonitor({ specs, cpuOf, onBreach, say }: MonitorOptions): Monitor {
  const expressions = createExpressions();
  const graphs = new Map<string, Graph>([...specs].map(([name, spec]) => [name, graphOf(spec, expressions)]));
  const runs = new Map<string, Run>();
  const tasks = new Map<string, Task>();
  /** Who took an attempt last. */
  const holders = new Map<string, Life>();
  /** Attempts whose claim came late, until somebody takes them over. */
  const late = new Set<string>();
  let schedule: Schedule | undefined;
  const origins: Monitor['origins'] = {};

  const runOf = (task: Task) => runs.get(`${task.project}/${task.run}`);
  const tasksOf = (run: Run) => [...tasks.values()].filter((task) => task.run === run.id);
  const stepOf = (run: Run, name: string) => graphs.get(run.pipeline)!.get(name)!;

  function onRun(before: Run | undefined, after: Run, emit: readonly EventDraft[]): void {
    const id = `run ${after.id.slice(0, 8)} of ${after.pipeline}`;
    const check = (holds: boolean, what: string) => holds || onBreach(`${id}: ${what}`);
    if (!before) {
      check(after.state === 'pending', 'is created in another state than pending');
      check(
        emit.some((e) => e.type === pipelinesEvents.runCreated.type),
        'is created without its event',
      );
      checkOrigin(after, check);
      return;
    }
    if (isTerminalRun(before.state)) return void onBreach(`${id}: changes although it is ${before.state}`);
    const told = emit.flatMap((event) => {
      if (event.type !== pipelinesEvents.runStateChanged.type) return [];
      const { from, to } = fromBinary(pipelinesEvents.runStateChanged.schema, event.data);
      return [`${wordFor(runStateOf, from)}→${wordFor(runStateOf, to)}`];
    });
    const moved = before.state === after.state ? [] : [`${before.state}→${after.state}`];
    check(
      told.join() === moved.join(),
      `${moved.join() || 'nothing'} is told as ${told.join() || 'nothing'}`,
    );
    if (moved.length === 0) return;
    check(
      (runTransitions[before.state] as readonly RunState[]).includes(after.state),
      `${moved} is no transition`,
    );
    check((after.endedAtMs ?? Infinity) >= (after.startedAtMs ?? 0), 'ends before it starts');
    if (after.state === 'running') {
      const { maxConcurrentRuns } = specs.get(after.pipeline)!;
      const others = [...runs.values()].filter(
        (run) =>
          run.pipeline === after.pipeline &&
          run.id !== after.id &&
          run.startedAtMs !== undefined &&
          !isTerminalRun(run.state),
      );
      check(
        maxConcurrentRuns === 0 || others.length < maxConcurrentRuns,
        `starts beside ${others.length} others; at most ${maxConcurrentRuns} may run`,
      );
    }
    if (isTerminalRun(after.state)) {
      const open = tasksOf(after).filter((task) => !isTerminalTask(task.state));
      check(open.length === 0, `ends while ${open.map((task) => task.key)} are open`);
      for (const name of graphs.get(after.pipeline)!.keys())
        check(tasks.has(`${after.project}/${after.id}/${name}`), `ends without a task for ${name}`);
    }
  }

  /** A schedule or trigger starts a run only as far as its limits allow. */
  function checkOrigin(run: Run, check: (holds: boolean, what: string) => void): void {
    const { kind } = run.origin;
    const open = [...runs.values()].filter((o) => o.origin.kind === kind && !isTerminalRun(o.state));
    if (kind === 'schedule') {
      const overlap = origins.schedule?.overlap;
      const mayBe =
        overlap === 'allow' ||
        (overlap === 'cancel_other' && open.every((o) => o.stop ?? o.state === 'exiting'));
      check(open.length === 0 || mayBe, `starts beside ${open.length} open runs; overlap is ${overlap}`);
    } else if (kind === 'trigger') {
      const most = origins.trigger?.maxConcurrentRuns || Number.POSITIVE_INFINITY;
      check(open.length < most, `starts beside ${open.length} open runs of its trigger; at most ${most}`);
    }
  }

  function onTask({ life, emit, ageMs }: Commit, before: Task | undefined, after: Task): void {
    const run = runOf(after);
    const id = `task ${after.run.slice(0, 8)}/${after.key}`;
    const check = (holds: boolean, what: string) => holds || onBreach(`${id}: ${what} (${life.name})`);
    if (!run) return void onBreach(`${id}: has no run`);
    if (before && isTerminalTask(before.state))
      return void onBreach(`${id}: changes although it is ${before.state}`);
    check(
      after.attempts.filter((a) => a.state === 'succeeded').length <= 1,
      'has two attempts that succeeded',
    );
    check(
      after.attempts.slice(0, -1).every((a) => a.state !== 'running'),
      'an earlier attempt still runs',
    );
    check(after.attempts.length - (before?.attempts.length ?? 0) <= 1, 'gets two attempts at once');
    for (const attempt of after.attempts)
      check(
        (attempt.endedAtMs ?? Infinity) >= attempt.startedAtMs,
        `attempt ${attempt.number} ends before it starts`,
      );
    checkEvents(before, after, emit, check);
    const [was, is] = [before?.attempts.at(-1), after.attempts.at(-1)];
    if (is && is.number !== was?.number) onClaim(life, run, after, is, check, ageMs > lateMs);
    else if (was && is && was.state === 'running') onHeld(life, keyOf(after), was, is, check);
    // Nothing spans documents: what an earlier holder asked for may make the first document of an item even now. No process
    // is ever started for it.
    const isLateItem = before === undefined && after.index !== undefined;
    check(!isTerminalRun(run.state) || isLateItem, `becomes ${after.state} although its run is ${run.state}`);
  }

  /** An attempt begins. */
  function onClaim(
    life: Life,
    run: Run,
    after: Task,
    attempt: Attempt,
    check: (holds: boolean, what: string) => void,
    isLate: boolean,
  ): void {
    holders.set(keyOf(after), life);
    late.delete(keyOf(after));
    const node = stepOf(run, after.step);
    for (const name of node.upstreams) {
      const state = tasks.get(`${after.project}/${after.run}/${name}`)?.state ?? 'pending';
      check(isDone(state), `starts while ${name} is ${state}`);
    }
    check(run.state !== 'pending', 'starts while its run is pending');
    check(node.exit === (run.state === 'exiting') || !node.exit, `starts while its run is ${run.state}`);
    if (isLate) late.add(keyOf(after));
    if (isLate) return;
    const others = tasksOf(run).filter(
      (task) => task.key !== after.key && isRunning(task) && !late.has(keyOf(task)),
    );
    const { maxParallel } = specs.get(run.pipeline)!;
    check(others.length < maxParallel, `is the ${others.length + 1}. that runs; at most ${maxParallel} may`);
    const most = node.step.forEach?.maxParallel ?? 0;
    const siblings = others.filter((task) => task.step === after.step && task.index !== undefined);
    check(
      most === 0 || siblings.length < most,
      `is the ${siblings.length + 1}. item that runs; at most ${most} may`,
    );
    // What it knows of: attempts that nobody took over yet may run on the host too.
    const here = [...tasks.values()].filter(
      (task) =>
        isRunning(task) &&
        !late.has(keyOf(task)) &&
        holders.get(keyOf(task)) === life &&
        task.attempts.at(-1)?.host === attempt.host,
    );
    const cpuOfTask = (task: Task) => stepOf(runOf(task)!, task.step).step.resources.cpu;
    const taken = here
      .filter((task) => !(task.run === after.run && task.key === after.key))
      .reduce((sum, task) => sum + cpuOfTask(task), 0);
    check(
      taken === 0 || taken + node.step.resources.cpu <= cpuOf(attempt.host) + 1e-9,
      `takes ${attempt.host} to ${taken + node.step.resources.cpu} processors; it has ${cpuOf(attempt.host)}`,
    );
  }

  /** An attempt that ran is taken over, or ends. */
  function onHeld(
    life: Life,
    key: string,
    was: Attempt,
    is: Attempt,
    check: (holds: boolean, what: string) => void,
  ): void {
    if (is.state === 'running') {
      check(is.fence > was.fence || is === was, `attempt ${is.number} is taken over without a greater fence`);
      if (is.fence > was.fence) {
        holders.set(key, life);
        late.delete(key);
      }
      return;
    }
    const holder = holders.get(key);
    check(
      holder === undefined || holder === life,
      `attempt ${is.number} is ended by another than ${holder?.name}`,
    );
  }

  return {
    runs,
    tasks,
    origins,
    schedule: () => schedule,
    onCommit(commit) {
      const { collection, id, after, before } = commit;
      if (collection === 'runs') {
        const [was, is] = [before as Run | undefined, after as Run];
        say(
          commit.life.name,
          `run ${is.id} of ${is.pipeline}: ${was?.state ?? 'new'} → ${is.state} ${is.reason}`,
        );
        onRun(was, is, commit.emit);
        runs.set(id, is);
      } else if (collection === 'tasks') {
        const [was, is] = [before as Task | undefined, after as Task];
        const last = is.attempts.at(-1);
        const attempt = last ? `, attempt ${last.number} ${last.state}, fence ${last.fence}` : '';
        say(
          commit.life.name,
          `${is.run}-${is.key}: ${was?.state ?? 'new'} → ${is.state}${attempt} ${is.reason}`,
        );
        onTask(commit, was, is);
        tasks.set(id, is);
      } else if (collection === 'schedules') schedule = after as Schedule;
    },
  };
}

const keyOf = (task: Task): string => `${task.run}/${task.key}`;
const isRunning = (task: Task): boolean => task.attempts.at(-1)?.state === 'running';

/** What changed in a task is told, and nothing else. */
function checkEvents(
  before: Task | undefined,
  after: Task,
  emit: readonly EventDraft[],
  check: (holds: boolean, what: string) => void,
): void {
  const told = emit.flatMap((event) => {
    if (event.type === pipelinesEvents.attemptFinished.type) return [`attempt ${after.attempts.length}`];
    if (event.type !== pipelinesEvents.taskStateChanged.type) return [];
    const { from, to } = fromBinary(pipelinesEvents.taskStateChanged.schema, event.data);
    return [`${wordFor(taskStateOf, from)}→${wordFor(taskStateOf, to)}`];
  });
  const from = before?.state ?? 'pending';
  const isEnd = before && isRunning(before) && !isRunning(after);
  const happened = [
    ...(isEnd ? [`attempt ${after.attempts.length}`] : []),
    ...(from === after.state ? [] : [`${from}→${after.state}`]),
  ];
  check(
    told.join() === happened.join(),
    `${happened.join() || 'nothing'} is told as ${told.join() || 'nothing'}`,
  );
}
