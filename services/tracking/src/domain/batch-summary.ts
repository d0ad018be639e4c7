import { type PointColumns, type PointViews, viewsOf } from './columns.ts';
import { compareValues, type Point } from './metric.ts';
import { byKey } from './pair.ts';

/** What a batch of points comes to. */
export interface BatchSummary {
  /** The latest point of each metric in the batch, by key. */
  readonly latest: readonly Point[];
  readonly minStep: bigint;
  readonly maxStep: bigint;
}

/** Looks through a batch once, without an object for each point. */
export function summarize(columns: PointColumns): BatchSummary {
  const views = viewsOf(columns);
  const { values, steps, times, keyIndexes } = views;
  const latest = new Int32Array(columns.keys.length).fill(-1);
  let minStep = columns.count > 0 ? steps[0]! : 0n;
  let maxStep = minStep;
  for (let i = 0; i < columns.count; i++) {
    const step = steps[i]!;
    if (step < minStep) minStep = step;
    if (step > maxStep) maxStep = step;
    const known = latest[keyIndexes[i]!]!;
    if (known < 0 || isLater(views, i, known)) latest[keyIndexes[i]!] = i;
  }
  const points = columns.keys.map((key, place) => {
    const i = latest[place]!;
    return { key, value: values[i]!, step: steps[i]!, timestampMs: times[i]! };
  });
  return { latest: points.sort(byKey), minStep, maxStep };
}

/** In the order of points. */
function isLater({ values, steps, times }: PointViews, i: number, j: number): boolean {
  if (steps[i] !== steps[j]) return steps[i]! > steps[j]!;
  if (times[i] !== times[j]) return times[i]! > times[j]!;
  return compareValues(values[i]!, values[j]!) > 0;
}
