import { CodedError, invalidField } from '@millrace/errors';
import { gather, isWhole, scatter, UnevenOutputError } from '../domain/batch.ts';
import { type BatchLimits, type BatchQueue, createBatchQueue, type Waiting } from '../domain/batch-queue.ts';
import type { Feeds, Signature } from '../domain/signature.ts';
import type { Tensor } from '../domain/tensor.ts';
import { ModelRunError, RunTimeoutError, type Worker, WorkerLostError } from './worker.ts';

/** One request in a lane. */
interface Job extends Waiting {
  readonly feeds: Feeds;
  /** Runs that ended because the worker went away. */
  lost: number;
  resolve(outputs: Tensor[]): void;
  reject(error: Error): void;
}

/** Numbers of a lane, for people and metrics. */
export interface LaneStats {
  requests: number;
  rows: number;
  runs: number;
  failures: number;
}

export interface LaneOptions {
  readonly key: string;
  readonly signature: Signature;
  readonly limits: BatchLimits;
  readonly runTimeoutMs: number;
  now(): number;
  /** The runtime's own words about a failed run, for the log. */
  onFailure(message: string): void;
}

/** Requests of one loaded model on their way to its workers. */
export interface Lane {
  readonly key: string;
  readonly queue: BatchQueue<Job>;
  readonly stats: LaneStats;
  /** Runs now. */
  readonly running: number;
  /** True while the model makes room: requests wait, and none is run. */
  paused: boolean;
  /** Settles when no run is under way. */
  settled(): Promise<void>;
  /** Adds a request; the promise settles with its outputs. */
  submit(
    feeds: Feeds,
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<Tensor[]>;
  /** Runs the next batch on this worker, if one is due. Undefined when none is. */
  dispatch(worker: Worker): Promise<void> | undefined;
  /** Fails everything that waits. */
  fail(error: Error): void;
}

/** After so many time-outs one after the other a model rests, so that it does not use up one worker after another. */
const timeoutsUntilRest = 3;
const restMs = 30_000;

export function createLane(options: LaneOptions): Lane {
  const queue = createBatchQueue<Job>(options.limits);
  const stats: LaneStats = { requests: 0, rows: 0, runs: 0, failures: 0 };
  let running = 0;
  let timeouts = 0;
  let restsUntilMs = 0;
  let ended: PromiseWithResolvers<void> | undefined;

  const refuse = (jobs: readonly Job[], error: Error) => {
    stats.failures += jobs.length;
    for (const job of jobs) job.reject(error);
  };

  const settle = (batch: readonly Job[], error: Error) => {
    if (error instanceof WorkerLostError) {
      // One more try for each, by itself, so that the one that killed the worker takes no other with it.
      for (const job of batch) job.lost += 1;
      const again = batch.filter((job) => job.lost < 2);
      queue.putBack(again);
      return refuse(
        batch.filter((job) => job.lost >= 2),
        lostError(error),
      );
    }
    if (error instanceof RunTimeoutError) {
      timeouts += 1;
      if (timeouts >= timeoutsUntilRest) restsUntilMs = options.now() + restMs;
      return refuse(batch, stuckError(error));
    }
    options.onFailure(error.message);
    if (batch.length > 1) return queue.putBack(batch);
    refuse(batch, error instanceof ModelRunError ? refusedError(error) : error);
  };

  const run = async (batch: readonly Job[], worker: Worker) => {
    running += 1;
    stats.runs += 1;
    try {
      const outputs = await worker.run(
        options.key,
        gather(batch.map((job) => job.feeds)),
        options.runTimeoutMs,
      );
      if (!outputs.every(isWhole)) throw new UnevenOutputError('an output is shorter than its shape');
      const shares = scatter(
        outputs,
        batch.map((job) => job.rows),
      );
      timeouts = 0;
      for (const [i, job] of batch.entries()) job.resolve(shares[i] ?? []);
    } catch (error) {
      settle(batch, error as Error);
    } finally {
      running -= 1;
      if (running === 0) {
        ended?.resolve();
        ended = undefined;
      }
    }
  };

  return {
    key: options.key,
    queue,
    stats,
    paused: false,
    get running() {
      return running;
    },
    settled() {
      if (running === 0) return Promise.resolve();
      ended ??= Promise.withResolvers();
      return ended.promise;
    },
    async submit(feeds, { deadlineMs, signal }) {
      const nowMs = options.now();
      if (nowMs < restsUntilMs) throw restingError(restsUntilMs - nowMs);
      signal?.throwIfAborted();
      stats.requests += 1;
      stats.rows += feeds.rows;
      const { promise, resolve, reject } = Promise.withResolvers<Tensor[]>();
      const { rows, mergeKey } = feeds;
      const job: Job = { feeds, rows, mergeKey, sinceMs: nowMs, deadlineMs, lost: 0, resolve, reject };
      queue.add(job);
      if (!signal) return promise;
      const leave = () => {
        if (queue.remove(job)) reject(signal.reason as Error);
      };
      signal.addEventListener('abort', leave, { once: true });
      return promise.finally(() => signal.removeEventListener('abort', leave));
    },
    dispatch(worker) {
      const nowMs = options.now();
      for (const job of queue.expire(nowMs)) job.reject(lateError());
      const batch = queue.take(nowMs);
      return batch.length > 0 ? run(batch, worker) : undefined;
    },
    fail(error) {
      refuse(queue.clear(), error);
    },
  };
}

function refusedError(cause: Error): CodedError {
  const violation = invalidField(
    'inputs',
    'the model cannot compute with these values',
    'values it was made for',
  );
  return new CodedError(violation.kind, 'MODEL_REFUSED', violation.message, {
    violations: violation.violations,
    cause,
  });
}

function lostError(cause: Error): CodedError {
  return new CodedError('unavailable', 'WORKER_LOST', 'the worker that ran this request went away; retry', {
    cause,
    retryAfterMs: 1000,
  });
}

function stuckError(cause: Error): CodedError {
  return new CodedError(
    'unavailable',
    'RUN_TIMEOUT',
    'the model took too long and was stopped; retry later',
    {
      cause,
      retryAfterMs: 1000,
    },
  );
}

function restingError(retryAfterMs: number): CodedError {
  return new CodedError(
    'unavailable',
    'MODEL_RESTS',
    'the model took too long several times in a row and rests; retry later',
    { retryAfterMs },
  );
}

function lateError(): CodedError {
  return new CodedError(
    'deadline_exceeded',
    'DEADLINE_EXCEEDED',
    'the deadline was over before a worker was free',
  );
}
