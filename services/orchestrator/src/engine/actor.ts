import { isCoded } from '@millrace/errors';
import type { Graph } from '../domain/graph.ts';
import { type Next, plan } from '../domain/plan.ts';
import { isTerminalRun, type Run } from '../domain/run.ts';
import type { PipelineSpec, Step } from '../domain/spec.ts';
import { isTerminalTask, type Task } from '../domain/task.ts';
import { createView, groupOf, putTask, type RunView } from '../domain/view.ts';
import type { Exit } from '../executor/executor.ts';
import { refusedCode } from '../store/store.ts';
import { createAttempts } from './attempts.ts';
import type { EngineDeps } from './engine.ts';
import { createStarter, type Starter } from './starter.ts';
import { itemsOf } from './work.ts';

/** What a run needs of the engine around it. */
export interface Surroundings extends EngineDeps {
  /** Whether the run is this process's: its lease is ours, by a clock that never jumps. */
  isOurs(): boolean;
  mayStart(run: Run): boolean;
  /** The run got another state. */
  onState(run: Run): void;
  /** The attempt is this run's; `undefined` when it is over. */
  own(attempt: string, key: string | undefined): void;
}

/** One run in the hands of this process. One thing at a time is decided about it; its tasks' writes go side by side. */
export interface Actor {
  readonly view: RunView;
  /** Something may have changed. */
  wake(): void;
  /** The run's document was changed by somebody else. */
  replaceRun(run: Run): void;
  ended(attempt: string, key: string, exit: Exit): Promise<void>;
  /** Takes over what an earlier process left running. */
  recover(): Promise<void>;
  /** Does nothing more; what runs goes on. */
  drop(): void;
}

/** How long to wait for the lease of a run, in milliseconds. */
const notOursMs = 250;

export function createActor(
  around: Surroundings,
  run: Run,
  spec: PipelineSpec,
  graph: Graph,
  tasks: readonly Task[],
): Actor {
  const { store, capacity, log, now, timers, jumps } = around;
  const view = createView(run, graph, tasks);
  let busy = false;
  let again = false;
  let dropped = false;
  /** What is known here may be behind the documents. */
  let stale = false;
  let callOff = () => {};

  const stepOf = (task: Pick<Task, 'step'>): Step => {
    const node = graph.get(task.step);
    if (!node) throw new TypeError(`${task.step} is no step of ${run.pipeline}`);
    return node.step;
  };
  const jumpedMs = (key: string) => jumps.since(`${run.id}/${key}`);
  const put = (task: Task): Task => {
    const before = view.tasks.get(task.key);
    if (isTerminalTask(task.state)) jumps.end(`${run.id}/${task.key}`);
    else if (before?.state !== task.state || before.attempts.length !== task.attempts.length)
      jumps.begin(`${run.id}/${task.key}`);
    putTask(view, task);
    return task;
  };

  const outdated = () => {
    stale = true;
  };
  const isOurs = () => !dropped && around.isOurs();
  const launch: Starter['launch'] = (task, id, work) => starter.launch(task, id, work);
  const attempts = createAttempts({ around, view, stepOf, known, put, wake, outdated, launch, jumpedMs });
  const starter = createStarter({ around, view, stepOf, known, put, wake, attempts, isOurs, outdated });

  async function loop(): Promise<void> {
    again = true;
    if (busy || dropped) return;
    if (!isOurs()) {
      // Either the lease is extended in time, or the run is dropped.
      callOff();
      callOff = timers.after(notOursMs, wake);
      return;
    }
    busy = true;
    callOff();
    let wakeAtMs = Number.POSITIVE_INFINITY;
    try {
      do {
        again = false;
        if (stale) await catchUp();
        wakeAtMs = await round();
      } while (again && isOurs() && !isTerminalRun(view.run.state));
    } catch (error) {
      again = false;
      // Refused, because somebody else changed it; or an answer was lost, and nobody knows what was written.
      stale = true;
      const refused = isCoded(error, refusedCode);
      if (!refused) log.error({ err: error, run: run.id }, 'a run could not be driven on; it is tried again');
      wakeAtMs = now() + (refused ? 20 : 1000);
    } finally {
      busy = false;
    }
    if (dropped) return;
    if (Number.isFinite(wakeAtMs)) callOff = timers.after(wakeAtMs - now(), wake);
    if (again) wake();
  }

  /** Does all that is to be done now, side by side; answers when there will be more by itself. */
  async function round(): Promise<number> {
    let wakeAtMs = Number.POSITIVE_INFINITY;
    const doing: Promise<boolean>[] = [];
    const input = {
      spec,
      expressions: around.expressions,
      nowMs: now(),
      mayStart: around.mayStart(view.run),
      hasRoom: capacity.hasRoom,
      jumpedMs,
    };
    for (const next of plan(view, input)) {
      if (next.do === 'wake') wakeAtMs = Math.min(wakeAtMs, next.atMs);
      else {
        doing.push(perform(next));
        // A run in another state is planned anew.
        if (next.do === 'run') break;
      }
    }
    const results = await Promise.allSettled(doing);
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
      if (result.value) again = true;
    }
    return wakeAtMs;
  }

  /** Reads the run again, and takes in hand what runs without this process knowing. */
  async function catchUp(): Promise<void> {
    stale = false;
    const stored = await store.runs.get(`${run.project}/${run.id}`);
    if (stored) view.run = stored.doc;
    for (const task of await store.allTasks(run.project, run.id)) put(task);
    around.onState(view.run);
    if (dropped) return;
    await attempts.recover();
    starter.settleDoubts();
  }

  function wake(): void {
    void loop().catch((error: unknown) =>
      log.error({ err: error, run: run.id }, 'a run could not be driven on'),
    );
  }

  /** Does one thing; true when something changed. */
  async function perform(next: Exclude<Next, { do: 'wake' }>): Promise<boolean> {
    switch (next.do) {
      case 'create':
        put(await store.createTask(next.task));
        return true;
      case 'run': {
        const changed = await store.changeRun(run.project, run.id, next.command);
        if (next.command.do === 'start') jumps.begin(`${run.id}/`);
        if (changed) view.run = changed.doc;
        else stale = true;
        around.onState(view.run);
        return true;
      }
      case 'stop':
        attempts.stop(next.key, next.why);
        return false;
      case 'start':
        return starter.start(next.key, next.index);
      case 'expand': {
        const task = known(next.key);
        const found = itemsOf(view, stepOf(task), task);
        const command =
          'items' in found
            ? { ...found, do: 'expand' as const }
            : { do: 'settle' as const, state: 'failed' as const, reason: `for_each: ${found.wrong}` };
        put(await store.changeTask(view.run, task, command));
        return true;
      }
      case 'gather':
        if (next.state !== 'succeeded' && (await hasUnknown(next.key))) {
          stale = true;
          return true;
        }
        put(await store.changeTask(view.run, known(next.key), next));
        return true;
      case 'settle':
        put(await store.changeTask(view.run, known(next.key), next));
        return true;
    }
  }

  /** Whether an item has a task that is not known here: an earlier holder asked for it, and it came late. */
  async function hasUnknown(step: string): Promise<boolean> {
    const here = [...view.tasks.values()].filter((task) => task.step === step).length;
    return (await store.tasks.count({ run: `${run.project}/${run.id}`, step })) > here;
  }

  function known(key: string): Task {
    const task = view.tasks.get(key);
    if (!task) throw new TypeError(`${key} is no task of ${run.id}`);
    return task;
  }

  for (const node of graph.values()) if (node.step.forEach) groupOf(view, node.step.name);
  return {
    view,
    wake,
    replaceRun(replacement) {
      if (isTerminalRun(view.run.state)) return;
      view.run = replacement;
      wake();
    },
    ended: attempts.ended,
    recover: attempts.recover,
    drop() {
      dropped = true;
      callOff();
      attempts.drop();
      starter.settleDoubts();
    },
  };
}
