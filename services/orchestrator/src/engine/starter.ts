import { channel } from 'node:diagnostics_channel';
import { isCoded } from '@millrace/errors';
import type { TaskCommand } from '../domain/decide-task.ts';
import type { Step } from '../domain/spec.ts';
import { isProductive, type Task } from '../domain/task.ts';
import { itemTask, type RunView } from '../domain/view.ts';
import { refusedCode, taskId } from '../store/store.ts';
import type { Surroundings } from './actor.ts';
import type { Attempts } from './attempts.ts';
import { attemptEnv, attemptId, cacheKeyOf, type Resolved, resolveWork } from './work.ts';

/** Race points: where a fault test ends or freezes the process. */
const beforeClaim = channel('millrace:orchestrator.before-claim');
const afterClaim = channel('millrace:orchestrator.after-claim');
const afterSpawn = channel('millrace:orchestrator.after-spawn');

/** What the beginning of attempts needs of the run's actor. */
export interface StarterDeps {
  readonly around: Surroundings;
  readonly view: RunView;
  stepOf(task: Task): Step;
  known(key: string): Task;
  put(task: Task): Task;
  wake(): void;
  readonly attempts: Pick<Attempts, 'hold' | 'has' | 'launched'>;
  /** Whether the run is still in the hands of this process. */
  isOurs(): boolean;
  /** What is known of the run is behind its documents. */
  outdated(): void;
}

export interface Starter {
  /** Begins an attempt, unless there is no room or a result can be reused; true when something changed. */
  start(key: string, index: number | undefined): Promise<boolean>;
  /** Starts the process of an attempt that is claimed. Its end is told by the executor, also when it cannot start. */
  launch(task: Task, id: string, work: Resolved): void;
  /** Gives back what was taken for claims whose answers were lost; to be called once the documents were read again. */
  settleDoubts(): void;
}

export function createStarter(deps: StarterDeps): Starter {
  const { around, view, put } = deps;
  const { store, executor, capacity, cache, now } = around;
  /** Tasks that wait for another task's computation of the same result. */
  const blocked = new Set<string>();
  /** Claims that may be written or not: until that is known, their room is taken. */
  const doubtful = new Map<string, string | undefined>();

  async function start(key: string, index: number | undefined): Promise<boolean> {
    const { project } = view.run;
    const task =
      index === undefined
        ? deps.known(key)
        : itemTask(view, deps.known(key.slice(0, key.lastIndexOf('.'))), index, now());
    const step = deps.stepOf(task);
    const id = attemptId(view.run, key, task.attempts.length + 1);
    // Nothing is awaited before room is taken, so that what is planned next sees it.
    // Looked at again when the lease is extended.
    if (!deps.isOurs()) return true;
    if (blocked.has(key) || !capacity.take(id, step.resources)) return false;
    let keeps = false;
    let cacheKey: string | undefined;
    try {
      const resolved = resolveWork(view, step, task);
      if ('missing' in resolved) {
        const reason = `${resolved.missing} has no value`;
        put(await store.changeTask(view.run, task, { do: 'settle', state: 'failed', reason }));
        return true;
      }
      if (await takeOver(task)) return true;
      if (step.cache) {
        cacheKey = cacheKeyOf(step, resolved.work);
        if (!cache.claim(project, cacheKey, id, () => unblock(key))) {
          blocked.add(key);
          return false;
        }
        const found = view.run.noCache ? undefined : await cache.find(project, cacheKey, step.cache);
        if (found) {
          const { outputs, task: cachedFrom } = found;
          const reason = `the result of ${cachedFrom} is reused`;
          const command = { do: 'settle', state: 'cached', reason, outputs, cacheKey, cachedFrom } as const;
          put(await store.changeTask(view.run, task, command));
          return true;
        }
      }
      const cached = cacheKey === undefined ? {} : { cacheKey };
      beforeClaim.publish(id);
      const running = await claim(task, { do: 'claim', host: around.host, ...cached }, (known) => {
        keeps = true;
        if (!known) doubtful.set(id, cacheKey);
      });
      put(running);
      afterClaim.publish(id);
      launch(running, id, resolved.work);
      return true;
    } finally {
      if (!keeps) giveBack(id, cacheKey);
    }
  }

  /** Claims; `onTaken` tells that the attempt is ours, or that it may be. */
  async function claim(task: Task, command: TaskCommand, onTaken: (known: boolean) => void): Promise<Task> {
    try {
      const running = await store.changeTask(view.run, task, command);
      onTaken(true);
      return running;
    } catch (error) {
      if (!isCoded(error, refusedCode)) onTaken(false);
      throw error;
    }
  }

  function giveBack(id: string, cacheKey: string | undefined): void {
    if (cacheKey !== undefined) cache.free(view.run.project, cacheKey, id);
    capacity.give(id);
  }

  function unblock(key: string): void {
    blocked.delete(key);
    deps.wake();
  }

  /** A run that repeats another takes over what that one produced. */
  async function takeOver(task: Task): Promise<boolean> {
    const { retryOf, project } = view.run;
    if (retryOf === undefined || task.exit || task.attempts.length > 0) return false;
    const before = (await store.tasks.get(taskId({ project, run: retryOf, key: task.key })))?.doc;
    if (!before || !isProductive(before.state)) return false;
    const cachedFrom = before.cachedFrom ?? `${retryOf}/${task.key}`;
    const reason = `the result of ${cachedFrom} is taken over`;
    const { outputs } = before;
    put(
      await store.changeTask(view.run, task, { do: 'settle', state: 'cached', reason, outputs, cachedFrom }),
    );
    return true;
  }

  function launch(task: Task, id: string, work: Resolved): void {
    // Who lost the run while the claim was written must not start anything; the next holder makes up for it, be it
    // this process, whose lease may be extended after all.
    if (!deps.isOurs()) {
      giveBack(id, task.cacheKey);
      deps.outdated();
      return;
    }
    deps.attempts.hold(id, task);
    const env = [...work.env, ...attemptEnv(view.run, task, task.attempts.length, around.addresses())];
    void executor.start({ ...work, id, env }).then(
      () => {
        afterSpawn.publish(id);
        return deps.attempts.launched(id, task);
      },
      (error: unknown) => deps.attempts.launched(id, task, error),
    );
  }

  return {
    start,
    launch,
    settleDoubts() {
      for (const [id, cacheKey] of doubtful) if (!deps.attempts.has(id)) giveBack(id, cacheKey);
      doubtful.clear();
    },
  };
}
