import type { ColumnSchema, ColumnType, Tag } from './definition.ts';

export type JobState = 'pending' | 'running' | 'succeeded' | 'failed';

export interface JobFailure {
  readonly code: string;
  readonly message: string;
}

/** What every durable job knows of itself. */
export interface Job {
  readonly project: string;
  readonly state: JobState;
  readonly error: JobFailure | null;
  readonly attempt: number;
  /** How many of its attempts ended without a word: their process died. */
  readonly crashes?: number;
  readonly createdMs: number;
  readonly begunMs: number | null;
  readonly finishedMs: number | null;
}

export const newJob = (project: string, nowMs: number): Job => ({
  project,
  state: 'pending',
  error: null,
  attempt: 0,
  createdMs: nowMs,
  begunMs: null,
  finishedMs: null,
});

export const isOver = (job: Job): boolean => job.state === 'succeeded' || job.state === 'failed';

/**
 * Starts an attempt; undefined when there is nothing left to do. A job that is found running has lost its process; one
 * that `maxCrashes` processes died of is ended as failed, or it would take down the service for ever.
 */
export function begin<T extends Job>(job: T, nowMs: number, maxCrashes: number): T | undefined {
  if (isOver(job)) return undefined;
  const crashes = (job.crashes ?? 0) + (job.state === 'running' ? 1 : 0);
  if (crashes >= maxCrashes) {
    const message = `the process died in each of its ${crashes} attempts; ask again with less data, or give it more memory`;
    return { ...job, crashes, state: 'failed', error: { code: 'GAVE_UP', message }, finishedMs: nowMs };
  }
  return { ...job, crashes, state: 'running', attempt: job.attempt + 1, begunMs: nowMs };
}

/** Takes a job back whose process stops in order, so that another takes it up; undefined when it does not run. */
export function giveBack<T extends Job>(job: T): T | undefined {
  return job.state === 'running' ? { ...job, state: 'pending' } : undefined;
}

/** Ends a job; undefined when it has ended before, which an attempt that was thought dead may find. */
export function finish<T extends Job>(job: T, nowMs: number, error: JobFailure | null): T | undefined {
  if (isOver(job)) return undefined;
  return { ...job, state: error ? 'failed' : 'succeeded', error, finishedMs: nowMs };
}

export interface Materialization extends Job {
  /** The resource name of the view. */
  readonly view: string;
  readonly viewUid: string;
  readonly viewVersion: number;
  readonly startUs: number | null;
  readonly endUs: number;
  readonly full: boolean;
  readonly rowsRead: number;
  readonly keysTotal: number;
  readonly keysWritten: number;
}

export type EntityRows =
  | { readonly kind: 'rows'; readonly digest: `sha256:${string}` }
  | { readonly kind: 'query'; readonly source: string; readonly sql: string };

export type ColumnRole = 'join_key' | 'timestamp' | 'label' | 'feature' | 'extra';

/** What the values of a column are like; the numbers are null where the type has none. */
export interface Statistics {
  readonly count: number;
  readonly nullCount: number;
  readonly distinct: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly stddev: number | null;
  readonly quantiles: readonly number[];
  readonly histogram: readonly { readonly lower: number; readonly upper: number; readonly count: number }[];
  readonly categories: readonly { readonly value: string; readonly count: number }[];
}

export interface ResultColumn extends ColumnSchema {
  readonly type: ColumnType;
  readonly role: ColumnRole;
  /** `view:feature`, empty for columns of the entity rows. */
  readonly feature: string;
  readonly statistics: Statistics;
}

export interface TrainingSet extends Job {
  /** The id of the call that made it, so that the same call again finds it. */
  readonly createdBy: string;
  readonly features: readonly string[];
  readonly entityRows: EntityRows;
  readonly entityColumns: readonly ColumnSchema[];
  readonly timestampColumn: string;
  readonly labelColumns: readonly string[];
  readonly fullNames: boolean;
  readonly description: string;
  readonly tags: readonly Tag[];
  readonly progress: number;
  readonly stage: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly rowCount: number;
  readonly columns: readonly ResultColumn[];
  readonly viewVersions: readonly { readonly view: string; readonly version: number }[];
}
