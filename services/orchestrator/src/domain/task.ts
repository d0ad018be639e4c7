import type { Json } from './json.ts';

/** The states of a task and those that may follow each. Terminal states have none. */
export const taskTransitions = {
  pending: ['running', 'skipped', 'cached', 'upstream_failed', 'cancelled', 'failed'],
  running: ['succeeded', 'failed', 'timed_out', 'cancelled', 'backing_off'],
  backing_off: ['running', 'cancelled', 'cached', 'failed'],
  succeeded: [],
  failed: [],
  cancelled: [],
  timed_out: [],
  skipped: [],
  cached: [],
  upstream_failed: [],
} as const satisfies Record<string, readonly string[]>;

export type TaskState = keyof typeof taskTransitions;
export const taskStates = Object.keys(taskTransitions) as readonly TaskState[];

export type AttemptState = 'running' | 'succeeded' | 'failed' | 'timed_out' | 'cancelled' | 'lost';

/** The work of a step, or of one item of a step with `for_each`, in a run. */
export interface Task {
  readonly project: string;
  readonly run: string;
  /** The step's name; for an item `STEP.INDEX`. Unique in the run. */
  readonly key: string;
  readonly step: string;
  readonly exit: boolean;
  readonly index?: number;
  readonly item?: Json;
  /** The items of a gathering task, once they are known. */
  readonly items?: readonly Json[];
  readonly state: TaskState;
  readonly reason: string;
  readonly attempts: readonly Attempt[];
  readonly outputs: readonly TaskOutput[];
  readonly cacheKey?: string;
  /** `RUN/KEY` of the task whose result was reused. */
  readonly cachedFrom?: string;
  readonly nextAttemptAtMs?: number;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
}

export interface Attempt {
  readonly number: number;
  readonly state: AttemptState;
  readonly reason: string;
  readonly exitCode?: number;
  readonly signal?: string;
  /** Whoever holds the attempt has the greatest number given so far. */
  readonly fence: number;
  /** Where it ran: the machine, and behind a colon the folder of its executor there. */
  readonly host: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

export type TaskOutput =
  | { readonly name: string; readonly kind: 'value'; readonly value: Json }
  | {
      readonly name: string;
      readonly kind: 'artifact';
      readonly digest: string;
      readonly sizeBytes: number;
      readonly path: string;
      readonly artifactType: string;
    };

/** The machine of a host, which is all that callers are told: folders are of the insides. */
export const machineOf = (host: string): string => host.split(':', 1)[0] ?? '';

/** No further change comes. */
export const isTerminalTask = (state: TaskState): boolean => taskTransitions[state].length === 0;
/** Steps after this one may start. */
export const isDone = (state: TaskState): boolean =>
  state === 'succeeded' || state === 'cached' || state === 'skipped';
/** Has outputs. */
export const isProductive = (state: TaskState): boolean => state === 'succeeded' || state === 'cached';
/** It went wrong by itself, rather than by being cancelled or skipped. */
export const isFailure = (state: TaskState): boolean => state === 'failed' || state === 'timed_out';

/** The key of an item's task. */
export const itemKey = (step: string, index: number): string => `${step}.${index}`;

/** A task that waits. */
export function newTask(of: Pick<Task, 'project' | 'run' | 'key' | 'step' | 'exit'>, nowMs: number): Task {
  return { ...of, state: 'pending', reason: '', attempts: [], outputs: [], createdAtMs: nowMs };
}

/** The value of an output as templates and conditions see it: an artifact is its digest. */
export function outputValue(output: TaskOutput): Json {
  return output.kind === 'artifact' ? output.digest : output.value;
}
