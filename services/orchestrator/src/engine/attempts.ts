import { channel } from 'node:diagnostics_channel';
import { from, isCoded } from '@millrace/errors';
import type { StopReason } from '../domain/plan.ts';
import type { Step } from '../domain/spec.ts';
import { machineOf, type Task } from '../domain/task.ts';
import type { RunView } from '../domain/view.ts';
import type { Exit } from '../executor/executor.ts';
import { refusedCode } from '../store/store.ts';
import type { Surroundings } from './actor.ts';
import { endingOf, isStopped } from './ending.ts';
import { isGivenUp, pauseAfterMs } from './patience.ts';
import { attemptId, type Resolved, resolveWork } from './work.ts';

/** Race points: where a fault test ends or freezes the process. */
const beforeOutcome = channel('millrace:orchestrator.before-outcome');
const afterOutcome = channel('millrace:orchestrator.after-outcome');
const afterAdoption = channel('millrace:orchestrator.after-adoption');

/** What the attempts of a run need of its actor. */
export interface AttemptsDeps {
  readonly around: Surroundings;
  readonly view: RunView;
  stepOf(task: Pick<Task, 'step'>): Step;
  known(key: string): Task;
  put(task: Task): Task;
  wake(): void;
  /** What is known of the run is behind its documents. */
  outdated(): void;
  launch(task: Task, id: string, work: Resolved): void;
  /** By how much the clock jumped since a task got into its state. */
  jumpedMs(key: string): number;
}

/** The attempts of one run that are in the hands of this process, from their claim to their recorded end. */
export interface Attempts {
  /** An attempt was claimed; its process is being started. */
  hold(id: string, task: Task): void;
  /** Whether it is in the hands of this process. */
  has(id: string): boolean;
  /** The executor has it, or could not take it. */
  launched(id: string, task: Task, error?: unknown): Promise<void>;
  ended(id: string, key: string, exit: Exit): Promise<void>;
  /** Ends the process of a running attempt, however often it takes. */
  stop(key: string, why: StopReason): void;
  /** Takes over the attempts that run and are in nobody's hands here: of an earlier process, or after a lost answer. */
  recover(): Promise<void>;
  drop(): void;
}

/** An end that is being recorded, as it was when it came: recording it may take long. */
interface End {
  readonly exit: Exit;
  /** Why this process had stopped it. */
  readonly asked: StopReason | undefined;
  readonly atMs: number;
}

/** How long after a stop and its grace an end should have been heard of, in milliseconds. */
const silenceMs = 2000;

export function createAttempts(deps: AttemptsDeps): Attempts {
  const { around, view, stepOf, known, put } = deps;
  const { store, executor, capacity, cache, log, now, timers } = around;
  const run = view.run;
  /** With the fence each was taken with: a greater one in its document is another holder's. */
  const held = new Map<string, { readonly task: Task; readonly fence: number }>();
  const launching = new Set<string>();
  /** Taken over, but the executor did not answer yet what became of them. */
  const unseen = new Set<string>();
  const ending = new Set<string>();
  const stopping = new Map<string, StopReason>();
  let dropped = false;

  function hold(id: string, task: Task): void {
    held.set(id, { task, fence: task.attempts.at(-1)?.fence ?? 0 });
    capacity.force(id, stepOf(task).resources);
    around.own(id, task.key);
    if (task.cacheKey !== undefined) cache.claim(run.project, task.cacheKey, id, deps.wake);
  }

  function letGo(id: string): void {
    const task = held.get(id)?.task;
    if (!task) return;
    held.delete(id);
    unseen.delete(id);
    stopping.delete(task.key);
    around.own(id, undefined);
    if (task.cacheKey !== undefined) cache.free(run.project, task.cacheKey, id);
    capacity.give(id);
  }

  /** Writes down how an attempt ended, on the documents as they are. */
  async function record(id: string, task: Task, fence: number, { exit, asked, atMs }: End): Promise<void> {
    const step = stepOf(task);
    const command =
      exit.kind === 'lost'
        ? ({ do: 'lose', fence, reason: exit.reason, retry: !isStopped(view, task) } as const)
        : ({
            do: 'finish',
            fence,
            ending: await endingOf({ executor, nowMs: atMs }, view, step, task, id, exit, asked),
            retry: step.retry,
            random: around.random(),
          } as const);
    beforeOutcome.publish(id);
    const done = put(await store.changeTask(view.run, task, command));
    afterOutcome.publish(id);
    if (done.state === 'succeeded' && step.cache && done.cacheKey !== undefined)
      await cache.put(run.project, done.cacheKey, { outputs: done.outputs, task: `${run.id}/${task.key}` });
  }

  async function ended(id: string, key: string, exit: Exit): Promise<void> {
    if (dropped || !held.has(id) || ending.has(id)) return;
    ending.add(id);
    await recordUntilDone(id, key, { exit, asked: stopping.get(key), atMs: now() - deps.jumpedMs(key) }, 1);
  }

  async function recordUntilDone(id: string, key: string, end: End, tries: number): Promise<void> {
    if (dropped) return;
    const task = known(key);
    const attempt = task.attempts.at(-1);
    const fence = held.get(id)?.fence ?? 0;
    let isOurs = true;
    if (attempt?.state === 'running' && attemptId(run, key, attempt.number) === id) {
      try {
        await record(id, task, fence, end);
      } catch (error) {
        if (!isCoded(error, refusedCode)) {
          log.error(
            { err: error, attempt: id, tries },
            'the end of an attempt could not be recorded; it is tried again',
          );
          const lost = { kind: 'lost', reason: from(error).message } as const;
          const next = isGivenUp(error, tries, isStopped(view, task)) ? { ...end, exit: lost } : end;
          timers.after(pauseAfterMs(tries), () => void recordUntilDone(id, key, next, tries + 1));
          return;
        }
        // Taken over anew by ourselves meanwhile.
        if ((held.get(id)?.fence ?? fence) !== fence) return recordUntilDone(id, key, end, tries);
        log.warn({ attempt: id, fence }, 'an attempt is over already, or another holder has it');
        // The folder may be in the hands of another process of this machine; the sweep knows.
        isOurs = false;
        deps.outdated();
      }
    }
    if (dropped) return;
    ending.delete(id);
    letGo(id);
    if (isOurs)
      void executor
        .discard(id)
        .catch((error: unknown) => log.warn({ err: error, attempt: id }, 'a folder could not be removed'));
    deps.wake();
  }

  function stop(key: string, why: StopReason): void {
    const id = attemptId(run, key, known(key).attempts.length);
    // What is not in our hands yet is looked at again once it is.
    if (stopping.has(key) || !held.has(id)) return;
    stopping.set(key, why);
    void bringDown(id, key);
  }

  /** Asks for the end of an attempt until there is one: what is asked and what is told may be lost. */
  async function bringDown(id: string, key: string): Promise<void> {
    const isOpen = () => !dropped && held.has(id) && !ending.has(id);
    if (!isOpen()) return;
    const { stopGraceMs } = stepOf(known(key)).action;
    await executor
      .stop(id, stopGraceMs)
      .catch((err: unknown) =>
        log.warn({ err, attempt: id }, 'an attempt could not be stopped; it is tried again'),
      );
    timers.after(stopGraceMs + silenceMs, () => {
      if (isOpen() && !launching.has(id)) void look(id, key);
      else void bringDown(id, key);
    });
  }

  /** Asks for an end that was not told. */
  async function look(id: string, key: string): Promise<void> {
    const recalled = await executor.recall(id).catch(() => ({ kind: 'running' }) as const);
    if (recalled.kind === 'running') await bringDown(id, key);
    else if (recalled.kind === 'unknown')
      await ended(id, key, { kind: 'lost', reason: 'its end was not told' });
    else await ended(id, key, recalled);
  }

  async function launched(id: string, task: Task, error?: unknown): Promise<void> {
    launching.delete(id);
    if (error !== undefined) {
      log.error({ err: error, attempt: id }, 'the executor could not take an attempt');
      await ended(id, task.key, { kind: 'lost', reason: from(error).message });
    } else if (stopping.has(task.key)) {
      // A stop that was asked for before there was a process found nothing to stop.
      await executor.stop(id, stepOf(task).action.stopGraceMs).catch(() => {});
    }
  }

  async function recoverOne(key: string): Promise<void> {
    let task = known(key);
    const claimed = task.attempts.at(-1);
    const id = attemptId(run, key, task.attempts.length);
    if (claimed?.state !== 'running') return;
    if (held.get(id)?.fence !== claimed.fence) {
      task = put(await store.changeTask(view.run, task, { do: 'adopt' }));
      hold(id, task);
      unseen.add(id);
      afterAdoption.publish(id);
    }
    if (!unseen.has(id)) return;
    // When this fails the attempt stays ours, with its room, and is looked for again.
    const recalled = await executor.recall(id);
    unseen.delete(id);
    if (recalled.kind === 'running') return;
    if (recalled.kind !== 'unknown') return ended(id, key, recalled);
    // Never started here. On this host that means never started at all; on another one its end cannot be known.
    const resolved = resolveWork(view, stepOf(task), task);
    if (claimed.host === around.host && 'work' in resolved) deps.launch(task, id, resolved.work);
    else await ended(id, key, { kind: 'lost', reason: `its host ${machineOf(claimed.host)} went away` });
  }

  return {
    hold(id, task) {
      hold(id, task);
      launching.add(id);
    },
    has: (id) => held.has(id),
    launched,
    ended,
    stop,
    async recover() {
      const all = await Promise.allSettled([...view.running].map(recoverOne));
      for (const one of all) if (one.status === 'rejected') throw one.reason;
    },
    drop() {
      dropped = true;
      for (const id of [...held.keys()]) letGo(id);
    },
  };
}
