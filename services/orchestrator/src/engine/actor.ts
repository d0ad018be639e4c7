import { channel } from 'node:diagnostics_channel';
import { from, isCoded } from '@millrace/errors';
import type { Graph } from '../domain/graph.ts';
import { type Next, plan } from '../domain/plan.ts';
import { isTerminalRun, type Run } from '../domain/run.ts';
import type { PipelineSpec, Step } from '../domain/spec.ts';
import type { Task } from '../domain/task.ts';
import { createView, groupOf, putTask, type RunView } from '../domain/view.ts';
import type { Exit } from '../executor/executor.ts';
import { refusedCode } from '../store/store.ts';
import { endingOf, isStopped } from './ending.ts';
import type { EngineDeps } from './engine.ts';
import { createStarter } from './starter.ts';
import { attemptId, itemsOf, resolveWork } from './work.ts';

/** Race points: where a fault test ends or freezes the process. */
const beforeOutcome = channel('millrace:orchestrator.before-outcome');
const afterOutcome = channel('millrace:orchestrator.after-outcome');
const afterAdoption = channel('millrace:orchestrator.after-adoption');

/** What a run needs of the engine around it. */
export interface Surroundings extends EngineDeps {
  mayStart(run: Run): boolean;
  /** Whether the lease of the run is ours at this moment. */
  isOurs(): boolean;
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

/** How often recording the end of an attempt is tried before the attempt counts as lost. */
const maxTries = 5;

export function createActor(
  around: Surroundings,
  run: Run,
  spec: PipelineSpec,
  graph: Graph,
  tasks: readonly Task[],
): Actor {
  const { store, executor, capacity, cache, log, now, timers } = around;
  const view = createView(run, graph, tasks);
  const stopping = new Map<string, 'cancelled' | 'timed_out'>();
  /** The attempts in our hands by their ids, as they were when we took them: their fences are the ones we may use. */
  const held = new Map<string, Task>();
  /** Somebody else changed what we have in memory. */
  let stale = false;
  let busy = false;
  let again = false;
  let dropped = false;
  let callOff = () => {};

  const stepOf = (task: Pick<Task, 'step'>): Step => {
    const node = graph.get(task.step);
    if (!node) throw new TypeError(`${task.step} is no step of ${run.pipeline}`);
    return node.step;
  };
  const put = (task: Task): Task => {
    putTask(view, task);
    return task;
  };

  function hold(task: Task): string {
    const id = attemptId(run, task.key, task.attempts.length);
    held.set(id, task);
    around.own(id, task.key);
    return id;
  }
  function letGo(id: string): void {
    const cacheKey = held.get(id)?.cacheKey;
    held.delete(id);
    around.own(id, undefined);
    if (cacheKey !== undefined) cache.free(run.project, cacheKey, id);
    capacity.give(id);
  }

  const isDropped = () => dropped;
  const starter = createStarter({ around, view, stepOf, known, put, wake, hold, isDropped, launched });

  async function loop(): Promise<void> {
    if (busy || dropped) {
      again = true;
      return;
    }
    busy = true;
    callOff();
    let wakeAtMs = Number.POSITIVE_INFINITY;
    try {
      do {
        again = false;
        wakeAtMs = Number.POSITIVE_INFINITY;
        // Frozen for longer than the lease: what is in memory may be long past. It is renewed, or the run is dropped.
        if (!around.isOurs()) {
          wakeAtMs = now() + 100;
          break;
        }
        if (stale) await reload();
        const doing: Promise<boolean>[] = [];
        const input = {
          spec,
          expressions: around.expressions,
          nowMs: now(),
          mayStart: around.mayStart(view.run),
          hasRoom: capacity.hasRoom,
        };
        for (const next of plan(view, input)) {
          if (next.do === 'wake') wakeAtMs = Math.min(wakeAtMs, next.atMs);
          else {
            const done = perform(next);
            doing.push(done);
            // A run in another state is planned anew.
            if (next.do === 'run') break;
          }
        }
        const results = await Promise.allSettled(doing);
        for (const result of results) {
          if (result.status === 'rejected') throw result.reason;
          if (result.value) again = true;
        }
      } while (again && !dropped && !isTerminalRun(view.run.state));
    } catch (error) {
      again = false;
      const refused = isCoded(error, refusedCode);
      if (refused) stale = true;
      else log.error({ err: error, run: view.run.id }, 'a run could not be driven on; it is tried again');
      wakeAtMs = now() + (refused ? 20 : 1000);
    } finally {
      busy = false;
    }
    if (dropped) return;
    if (Number.isFinite(wakeAtMs)) callOff = timers.after(wakeAtMs - now(), wake);
    if (again) wake();
  }

  /** The documents are right. An attempt that a frozen holder claimed after we took over is in nobody's hands: ours now. */
  async function reload(): Promise<void> {
    stale = true;
    const stored = await store.runs.get(`${run.project}/${run.id}`);
    if (stored) view.run = stored.doc;
    for (const task of await store.allTasks(run.project, run.id)) put(task);
    if (!dropped && around.isOurs()) await recover();
    stale = false;
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
        view.run = changed?.doc ?? (await store.runs.get(`${run.project}/${run.id}`))?.doc ?? view.run;
        around.onState(view.run);
        return true;
      }
      case 'stop':
        return stop(next.key, next.why);
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
      case 'settle':
      case 'gather':
        put(await store.changeTask(view.run, known(next.key), next));
        return true;
    }
  }

  function known(key: string): Task {
    const task = view.tasks.get(key);
    if (!task) throw new TypeError(`${key} is no task of ${run.id}`);
    return task;
  }

  async function stop(key: string, why: 'cancelled' | 'timed_out'): Promise<boolean> {
    if (stopping.has(key)) return false;
    stopping.set(key, why);
    const task = known(key);
    const attempt = task.attempts.at(-1);
    if (attempt) await executor.stop(attemptId(run, key, attempt.number), stepOf(task).action.stopGraceMs);
    return false;
  }

  /** The executor has an attempt, or could not take it. */
  async function launched(id: string, task: Task, error?: unknown): Promise<void> {
    if (error !== undefined) {
      log.error({ err: error, attempt: id }, 'the executor could not take an attempt');
      return ended(id, task.key, { kind: 'lost', reason: from(error).message });
    }
    // A stop that was asked for before there was a process found nothing to stop.
    if (stopping.has(task.key)) await executor.stop(id, stepOf(task).action.stopGraceMs);
  }

  async function ended(id: string, key: string, exit: Exit, tries = 1): Promise<void> {
    const fence = held.get(id)?.attempts.at(-1)?.fence;
    if (dropped || fence === undefined) return;
    const task = known(key);
    const step = stepOf(task);
    try {
      const command =
        exit.kind === 'lost'
          ? ({ do: 'lose', fence, reason: exit.reason, retry: !isStopped(view, task) } as const)
          : ({
              do: 'finish',
              fence,
              ending: await endingOf(
                { executor, nowMs: now() },
                view,
                step,
                task,
                id,
                exit,
                stopping.get(key),
              ),
              retry: step.retry,
              random: around.random(),
            } as const);
      beforeOutcome.publish(id);
      const done = put(await store.changeTask(view.run, task, command));
      afterOutcome.publish(id);
      if (done.state === 'succeeded' && step.cache && done.cacheKey !== undefined)
        await cache.put(run.project, done.cacheKey, { outputs: done.outputs, task: `${run.id}/${key}` });
    } catch (error) {
      if (!isCoded(error, refusedCode)) {
        log.error(
          { err: error, attempt: id },
          'the end of an attempt could not be recorded; it is tried again',
        );
        // What it left may be unreadable for good; then nothing is known of it.
        const next: Exit = tries < maxTries ? exit : { kind: 'lost', reason: from(error).message };
        timers.after(1000, () => void ended(id, key, next, tries + 1));
        return;
      }
      log.warn({ attempt: id, fence }, 'another holder has the attempt; its end here counts for nothing');
      stale = true;
    }
    stopping.delete(key);
    letGo(id);
    // The folder of a refused one may be in the hands of another process of this machine; the sweep knows.
    if (!stale)
      void executor
        .discard(id)
        .catch((error: unknown) => log.warn({ err: error, attempt: id }, 'a folder could not be removed'));
    wake();
  }

  async function recover(): Promise<void> {
    await Promise.all(
      [...view.running].map(async (key) => {
        const before = known(key).attempts.at(-1)!;
        if (held.has(attemptId(run, key, before.number))) return;
        const adopted = put(await store.changeTask(view.run, known(key), { do: 'adopt' }));
        const id = hold(adopted);
        afterAdoption.publish(id);
        const step = stepOf(adopted);
        capacity.force(id, step.resources);
        if (adopted.cacheKey !== undefined) cache.claim(run.project, adopted.cacheKey, id, wake);
        const recalled = await executor.recall(id);
        if (recalled.kind === 'running') return;
        if (recalled.kind !== 'unknown') return ended(id, key, recalled);
        // Never started here. On this host that means never started at all; on another one its end cannot be known.
        const resolved = resolveWork(view, step, adopted);
        if (before.host === around.host && 'work' in resolved) starter.launch(adopted, id, resolved.work);
        else await ended(id, key, { kind: 'lost', reason: `its host ${before.host} went away` });
      }),
    );
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
    ended,
    recover,
    drop() {
      dropped = true;
      callOff();
      for (const id of [...held.keys()]) letGo(id);
    },
  };
}
