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
  if (Number.isNaN(a.value)) return Number.isNaN(b.value) ? 0 : -1;
  if (Number.isNaN(b.value)) return 1;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
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

/** The latest point of each metric among these, by key. */
export function latestOf(points: readonly Point[]): readonly Point[] {
  return mergeLatest([], points) ?? [];
}

/** What a batch of points is told as: bounded, however large the batch. */
export interface BatchSummary {
  readonly pointCount: number;
  readonly keyCount: number;
  /** The latest point of each metric in the batch, the first 100 by key. */
  readonly latest: readonly Point[];
  readonly minStep: bigint;
  readonly maxStep: bigint;
}

const summaryKeys = 100;

export function summarize(points: readonly Point[]): BatchSummary {
  const latest = latestOf(points);
  let minStep = points[0]?.step ?? 0n;
  let maxStep = minStep;
  for (const { step } of points) {
    if (step < minStep) minStep = step;
    if (step > maxStep) maxStep = step;
  }
  return {
    pointCount: points.length,
    keyCount: latest.length,
    latest: latest.slice(0, summaryKeys),
    minStep,
    maxStep,
  };
}
