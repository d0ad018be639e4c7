import type { Parameter } from './parameters.ts';

/** The states of a run and those that may follow each. Terminal states have none. */
export const runTransitions = {
  pending: ['running', 'stopping', 'cancelled'],
  running: ['stopping', 'exiting', 'succeeded', 'failed'],
  stopping: ['exiting', 'failed', 'cancelled', 'timed_out'],
  exiting: ['succeeded', 'failed', 'cancelled', 'timed_out'],
  succeeded: [],
  failed: [],
  cancelled: [],
  timed_out: [],
} as const satisfies Record<string, readonly string[]>;

export type RunState = keyof typeof runTransitions;
export const runStates = Object.keys(runTransitions) as readonly RunState[];
export type RunOutcome = 'succeeded' | 'failed' | 'cancelled' | 'timed_out';

/** One execution of a version of a pipeline. Its tasks are documents of their own. */
export interface Run {
  readonly project: string;
  readonly id: string;
  readonly pipeline: string;
  readonly version: number;
  readonly parameters: readonly Parameter[];
  readonly tags: readonly { readonly key: string; readonly value: string }[];
  readonly noCache: boolean;
  readonly origin: Origin;
  /** The id of the run that this one repeats from its failure. */
  readonly retryOf?: string;
  readonly state: RunState;
  readonly reason: string;
  /** Why nothing new starts, once that is so. */
  readonly stop?: {
    readonly to: 'failed' | 'cancelled' | 'timed_out';
    readonly reason: string;
    readonly force: boolean;
  };
  /** What the run will have come to when its exit steps are done. */
  readonly outcome?: { readonly state: RunOutcome; readonly reason: string };
  /** Raised by whoever takes a waiting run over; what an earlier holder says is refused. Absent means 0. */
  readonly fence?: number;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
}

/** What started a run. */
export interface Origin {
  readonly kind: 'request' | 'schedule' | 'trigger';
  /** The schedule's or trigger's own name, without its project. */
  readonly source?: string;
  readonly eventId?: string;
  readonly logicalTimeMs?: number;
}

/** No further change comes. */
export const isTerminalRun = (state: RunState): boolean => runTransitions[state].length === 0;
