import type { Json } from './json.ts';
import { backoffMs, maxLost, mayRetry } from './retry.ts';
import type { RetryPolicy } from './spec.ts';
import {
  type Attempt,
  isTerminalTask,
  type Task,
  type TaskOutput,
  type TaskState,
  taskTransitions,
} from './task.ts';

/** How a process or its start ended. */
export interface Ending {
  readonly state: 'succeeded' | 'failed' | 'timed_out' | 'cancelled';
  readonly reason: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly outputs?: readonly TaskOutput[];
  readonly stdout?: string;
  readonly stderr?: string;
}

export type TaskCommand =
  /** Begins the next attempt. */
  | { readonly do: 'claim'; readonly host: string; readonly cacheKey?: string }
  /** Takes a running attempt over from a holder that went away; its host stays: that is where its process is, if it has one. */
  | { readonly do: 'adopt' }
  | {
      readonly do: 'finish';
      readonly fence: number;
      readonly ending: Ending;
      readonly retry: RetryPolicy;
      readonly random: number;
    }
  /** The end of the attempt is not known. */
  | { readonly do: 'lose'; readonly fence: number; readonly reason: string; readonly retry: boolean }
  /** Ends a task that has no running attempt. */
  | {
      readonly do: 'settle';
      readonly state: 'skipped' | 'cached' | 'upstream_failed' | 'cancelled' | 'failed';
      readonly reason: string;
      readonly outputs?: readonly TaskOutput[];
      readonly cacheKey?: string;
      readonly cachedFrom?: string;
    }
  /** The items of a gathering task are known. */
  | { readonly do: 'expand'; readonly items: readonly Json[] }
  /** Ends a gathering task. */
  | { readonly do: 'gather'; readonly state: 'succeeded' | 'failed' | 'cancelled'; readonly reason: string };

/** What changed, as facts to be told. */
export type TaskFact =
  | {
      readonly fact: 'task_state_changed';
      readonly from: TaskState;
      readonly to: TaskState;
      readonly reason: string;
    }
  | { readonly fact: 'attempt_finished'; readonly attempt: Attempt; readonly willRetry: boolean };

export type TaskDecision =
  | { readonly task: Task; readonly facts: readonly TaskFact[] }
  | { readonly refused: string };

/** The state machine of a task. Pure; a refusal tells why nothing changed. */
export function decideTask(task: Task, command: TaskCommand, nowMs: number): TaskDecision {
  if (isTerminalTask(task.state)) return { refused: `the task is ${task.state}, which is final` };
  const running = task.attempts.at(-1)?.state === 'running' ? task.attempts.at(-1) : undefined;
  switch (command.do) {
    case 'claim': {
      if (running || task.items) return { refused: 'the task is being worked on' };
      const fence = (task.attempts.at(-1)?.fence ?? 0) + 1;
      const number = task.attempts.length + 1;
      const attempt: Attempt = {
        number,
        state: 'running',
        reason: '',
        fence,
        host: command.host,
        startedAtMs: nowMs,
      };
      const { nextAttemptAtMs: _, ...rest } = task;
      const cacheKey = command.cacheKey === undefined ? {} : { cacheKey: command.cacheKey };
      const next = {
        ...rest,
        ...cacheKey,
        attempts: [...task.attempts, attempt],
        startedAtMs: task.startedAtMs ?? nowMs,
      };
      return move(next, 'running', `attempt ${number} is running`, nowMs);
    }
    case 'adopt': {
      if (!running) return { refused: 'no attempt is running' };
      const attempt = { ...running, fence: running.fence + 1 };
      return { task: { ...task, attempts: [...task.attempts.slice(0, -1), attempt] }, facts: [] };
    }
    case 'finish':
    case 'lose': {
      if (!running) return { refused: 'no attempt is running' };
      if (running.fence !== command.fence)
        return { refused: `the attempt is held with fence ${running.fence}, not ${command.fence}` };
      return command.do === 'finish'
        ? finish(task, running, command.ending, command.retry, command.random, nowMs)
        : lose(task, running, command.reason, command.retry, nowMs);
    }
    case 'settle': {
      if (running || task.items) return { refused: 'the task is being worked on' };
      const { nextAttemptAtMs: _, ...rest } = task;
      const next = {
        ...rest,
        ...(command.outputs ? { outputs: command.outputs } : {}),
        ...(command.cacheKey === undefined ? {} : { cacheKey: command.cacheKey }),
        ...(command.cachedFrom === undefined ? {} : { cachedFrom: command.cachedFrom }),
      };
      return move(next, command.state, command.reason, nowMs);
    }
    case 'expand': {
      if (task.state !== 'pending' || task.attempts.length > 0)
        return { refused: 'the task is being worked on' };
      const n = command.items.length;
      return move({ ...task, items: command.items, startedAtMs: nowMs }, 'running', `${n} items`, nowMs);
    }
    case 'gather':
      if (!task.items) return { refused: 'the task has no items' };
      return move(task, command.state, command.reason, nowMs);
  }
}

function finish(
  task: Task,
  running: Attempt,
  ending: Ending,
  retry: RetryPolicy,
  random: number,
  nowMs: number,
): TaskDecision {
  const { outputs, ...end } = ending;
  const ended: Attempt = { ...running, ...end, endedAtMs: Math.max(nowMs, running.startedAtMs) };
  const attempts = [...task.attempts.slice(0, -1), ended];
  const failures = attempts.filter((a) => a.state === 'failed' || a.state === 'timed_out').length;
  const failed = ending.state === 'failed' || ending.state === 'timed_out';
  const willRetry = failed && mayRetry(retry, failures, ending.exitCode);
  const told: TaskFact = { fact: 'attempt_finished', attempt: ended, willRetry };
  if (willRetry) {
    const wait = backoffMs(retry, failures, random);
    const reason = `attempt ${ended.number} ${ending.state === 'failed' ? 'failed' : 'timed out'} (${ending.reason}); the next one waits ${wait} ms`;
    return move({ ...task, attempts, nextAttemptAtMs: nowMs + wait }, 'backing_off', reason, nowMs, told);
  }
  const next = { ...task, attempts, outputs: ending.state === 'succeeded' ? (outputs ?? []) : [] };
  return move(next, ending.state, ending.reason, nowMs, told);
}

function lose(task: Task, running: Attempt, reason: string, retry: boolean, nowMs: number): TaskDecision {
  const ended: Attempt = {
    ...running,
    state: 'lost',
    reason,
    endedAtMs: Math.max(nowMs, running.startedAtMs),
  };
  const attempts = [...task.attempts.slice(0, -1), ended];
  const willRetry = retry && attempts.filter((a) => a.state === 'lost').length <= maxLost;
  const told: TaskFact = { fact: 'attempt_finished', attempt: ended, willRetry };
  if (!retry) return move({ ...task, attempts }, 'cancelled', reason, nowMs, told);
  if (!willRetry)
    return move({ ...task, attempts }, 'failed', `lost ${maxLost + 1} times: ${reason}`, nowMs, told);
  return move(
    { ...task, attempts, nextAttemptAtMs: nowMs },
    'backing_off',
    `attempt ${ended.number} was lost: ${reason}`,
    nowMs,
    told,
  );
}

function move(task: Task, to: TaskState, reason: string, nowMs: number, ...before: TaskFact[]): TaskDecision {
  const from = task.state;
  if (!(taskTransitions[from] as readonly TaskState[]).includes(to))
    return { refused: `a task that is ${from} cannot become ${to}` };
  // A clock that was set back must not let work end before it began.
  const ended = isTerminalTask(to)
    ? { endedAtMs: Math.max(nowMs, task.startedAtMs ?? task.createdAtMs) }
    : {};
  const facts: TaskFact[] = [...before, { fact: 'task_state_changed', from, to, reason }];
  return { task: { ...task, state: to, reason, ...ended }, facts };
}
