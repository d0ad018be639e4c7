import { CodedError } from '@millrace/errors';

/** How requests are put together. */
export interface BatchLimits {
  /** Most rows of one run; a request of more rows runs alone. */
  readonly maxRows: number;
  /** How long the oldest request may wait for company while a worker is free. */
  readonly maxDelayMs: number;
  /** Most rows that wait. */
  readonly maxQueueRows: number;
}

/** What waits. */
export interface Waiting {
  readonly rows: number;
  readonly mergeKey: string;
  /** When it came, in the queue's clock. */
  readonly sinceMs: number;
  /** When nobody wants the answer any more. */
  readonly deadlineMs: number;
  /** Runs by itself, because the batch it was in failed. */
  alone?: boolean;
}

/** Requests that wait for a worker. It owns no clock: the caller says what time it is. */
export interface BatchQueue<T extends Waiting> {
  /** Adds a request; OVERLOADED when too many rows wait. One request is always let in, however many rows it has. */
  add(item: T): void;
  /** Puts requests back at the front, to run alone. */
  putBack(items: readonly T[]): void;
  /** The next batch for a free worker; empty when none is due. Takes in order of arrival of each batch's oldest. */
  take(nowMs: number): T[];
  /** Removes and returns those whose deadline is over. */
  expire(nowMs: number): T[];
  /** When `take` may have something, for a timer; undefined when nothing waits. */
  dueAtMs(): number | undefined;
  /** When the oldest came; undefined when nothing waits. */
  oldestMs(): number | undefined;
  /** Removes one, for callers that went away. */
  remove(item: T): boolean;
  /** Removes and returns all. */
  clear(): T[];
  readonly rows: number;
  readonly length: number;
}

/**
 * Triton's delay rule: a free worker takes what is there, in order, as many rows as fit. It waits only when a delay is
 * set, the batch is not full, and its oldest request is younger than the delay.
 */
export function createBatchQueue<T extends Waiting>(limits: BatchLimits): BatchQueue<T> {
  const alone: T[] = [];
  const buckets = new Map<string, T[]>();
  let rows = 0;
  let length = 0;

  const drop = (item: T) => {
    rows -= item.rows;
    length -= 1;
  };
  const isFull = (bucket: readonly T[]) => {
    let sum = 0;
    for (const item of bucket) {
      sum += item.rows;
      if (sum >= limits.maxRows) return true;
    }
    return false;
  };
  const dueOf = (bucket: readonly T[]) => {
    const head = bucket[0];
    if (!head) return Number.POSITIVE_INFINITY;
    return limits.maxDelayMs === 0 || isFull(bucket) ? head.sinceMs : head.sinceMs + limits.maxDelayMs;
  };
  const takeFrom = (bucket: T[]) => {
    const batch: T[] = [];
    let sum = 0;
    for (const item of bucket) {
      if (batch.length > 0 && sum + item.rows > limits.maxRows) break;
      batch.push(item);
      sum += item.rows;
    }
    bucket.splice(0, batch.length);
    return batch;
  };
  const filterAll = (keep: (item: T) => boolean) => {
    const gone: T[] = [];
    const sieve = (list: T[]) => {
      const kept = list.filter((item) => {
        if (keep(item)) return true;
        gone.push(item);
        return false;
      });
      // Here and below: spread over a call's arguments, a long queue would outgrow the stack.
      list.length = 0;
      for (const item of kept) list.push(item);
    };
    sieve(alone);
    for (const [key, bucket] of buckets) {
      sieve(bucket);
      if (bucket.length === 0) buckets.delete(key);
    }
    for (const item of gone) drop(item);
    return gone;
  };

  return {
    add(item) {
      if (rows > 0 && rows + item.rows > limits.maxQueueRows)
        throw new CodedError('resource_exhausted', 'OVERLOADED', `${rows} rows wait already; retry later`, {
          retryAfterMs: 100,
        });
      const bucket = buckets.get(item.mergeKey);
      if (bucket) bucket.push(item);
      else buckets.set(item.mergeKey, [item]);
      rows += item.rows;
      length += 1;
    },
    putBack(items) {
      for (const item of items) {
        item.alone = true;
        rows += item.rows;
        length += 1;
        alone.push(item);
      }
    },
    take(nowMs) {
      const single = alone.shift();
      if (single) {
        drop(single);
        return [single];
      }
      let best: [string, T[]] | undefined;
      for (const entry of buckets) {
        if (dueOf(entry[1]) > nowMs) continue;
        if (!best || (entry[1][0]?.sinceMs ?? 0) < (best[1][0]?.sinceMs ?? 0)) best = entry;
      }
      if (!best) return [];
      const batch = takeFrom(best[1]);
      if (best[1].length === 0) buckets.delete(best[0]);
      for (const item of batch) drop(item);
      return batch;
    },
    expire: (nowMs) => filterAll((item) => item.deadlineMs > nowMs),
    dueAtMs() {
      if (length === 0) return undefined;
      if (alone.length > 0) return 0;
      let least = Number.POSITIVE_INFINITY;
      for (const bucket of buckets.values()) least = Math.min(least, dueOf(bucket));
      return least;
    },
    oldestMs() {
      if (length === 0) return undefined;
      let oldest = alone[0]?.sinceMs ?? Number.POSITIVE_INFINITY;
      for (const [head] of buckets.values()) oldest = Math.min(oldest, head?.sinceMs ?? oldest);
      return oldest;
    },
    remove: (item) => filterAll((other) => other !== item).length > 0,
    clear: () => filterAll(() => false),
    get rows() {
      return rows;
    },
    get length() {
      return length;
    },
  };
}
