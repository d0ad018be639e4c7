import { comparePoints, type Point } from './metric.ts';

/**
 * At most `maxPoints` points, by step and time, that keep the shape of the series. Finite points are chosen by
 * largest-triangle-three-buckets; of every stretch of NaN, +∞ or -∞ the first and last point are kept, at most half of
 * the budget in all, because a curve cannot show them and a person must see that they are there.
 * Source: S. Steinarsson, Downsampling Time Series for Visual Representation, University of Iceland, 2013, §4.2.
 */
export function downsample(series: readonly Point[], maxPoints: number): Point[] {
  const sorted = [...series].sort(comparePoints);
  if (sorted.length <= maxPoints) return sorted;
  const finite = sorted.filter((point) => Number.isFinite(point.value));
  const budget = finite.length === 0 ? maxPoints : Math.floor(maxPoints / 2);
  const odd = thin(stretchEnds(sorted), budget);
  return [...lttb(finite, maxPoints - odd.length), ...odd].sort(comparePoints);
}

/** The first and last point of each stretch of one non-finite value. */
function stretchEnds(sorted: readonly Point[]): Point[] {
  return sorted.filter((point, i) => {
    if (Number.isFinite(point.value)) return false;
    const [before, after] = [sorted[i - 1]?.value, sorted[i + 1]?.value];
    return !Object.is(before, point.value) || !Object.is(after, point.value);
  });
}

/** Evenly spread over the list, the first and last included. */
function thin(points: readonly Point[], most: number): Point[] {
  if (points.length <= most) return [...points];
  if (most <= 1) return points.slice(0, most);
  return Array.from(
    { length: most },
    (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))] as Point,
  );
}

function lttb(points: readonly Point[], most: number): Point[] {
  if (points.length <= most) return [...points];
  if (most <= 2) return thin(points, most);
  const x = abscissa(points);
  const kept = [points[0] as Point];
  const width = (points.length - 2) / (most - 2);
  let last = 0;
  for (let bucket = 0; bucket < most - 2; bucket++) {
    const start = Math.floor(bucket * width) + 1;
    const end = Math.floor((bucket + 1) * width) + 1;
    const next = centre(points, x, end, Math.min(Math.floor((bucket + 2) * width) + 1, points.length));
    let best = start;
    let bestArea = -1;
    for (let i = start; i < end; i++) {
      const area = Math.abs(
        (x(last) - next.x) * (value(points, i) - value(points, last)) -
          (x(last) - x(i)) * (next.y - value(points, last)),
      );
      if (area > bestArea) [best, bestArea] = [i, area];
    }
    kept.push(points[best] as Point);
    last = best;
  }
  kept.push(points.at(-1) as Point);
  return kept;
}

function value(points: readonly Point[], i: number): number {
  return points[i]?.value ?? 0;
}

/** Steps, or times where all points have the same step; relative to the first, so that large numbers keep their differences. */
function abscissa(points: readonly Point[]): (i: number) => number {
  const first = points[0] as Point;
  if (first.step !== points.at(-1)?.step) return (i) => Number((points[i] as Point).step - first.step);
  return (i) => (points[i] as Point).timestampMs - first.timestampMs;
}

function centre(
  points: readonly Point[],
  x: (i: number) => number,
  start: number,
  end: number,
): { readonly x: number; readonly y: number } {
  let [sumX, sumY] = [0, 0];
  for (let i = start; i < end; i++) {
    sumX += x(i);
    // Dividing first: the sum of finite numbers may overflow.
    sumY += value(points, i) / (end - start);
  }
  return { x: sumX / (end - start), y: sumY };
}
