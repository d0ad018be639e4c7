import { byKey } from './pair.ts';

/** One point of a metric. */
export interface Point {
  readonly key: string;
  /** NaN and infinities are values. */
  readonly value: number;
  readonly step: bigint;
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
}

/**
 * The order of a metric's points: by step, then time, then value (NaN before all numbers). It is total, so the
 * latest point does not depend on the order in which batches arrive, nor on how often one is applied.
 */
export function comparePoints(a: Point, b: Point): number {
  if (a.step !== b.step) return a.step < b.step ? -1 : 1;
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  return compareValues(a.value, b.value);
}

/** NaN before all numbers. */
export function compareValues(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1;
  if (Number.isNaN(b)) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The latest point of each metric, by key, after these points came in; undefined when none of them is newer.
 * Idempotent and independent of order.
 */
export function mergeLatest(
  current: readonly Point[],
  points: readonly Point[],
): readonly Point[] | undefined {
  const latest = new Map(current.map((point) => [point.key, point]));
  let changed = false;
  for (const point of points) {
    const known = latest.get(point.key);
    if (known && comparePoints(point, known) <= 0) continue;
    latest.set(point.key, point);
    changed = true;
  }
  return changed ? [...latest.values()].sort(byKey) : undefined;
}
