import type { Series } from './series.ts';

/**
 * At most `maxPoints` points of a series, by step and time, that keep its shape; their indexes. Finite points are chosen
 * by largest-triangle-three-buckets; of every stretch of NaN, +∞ or -∞ the first and last point are kept, at most half
 * of the budget in all, because a curve cannot show them and a person must see that they are there.
 * Source: S. Steinarsson, Downsampling Time Series for Visual Representation, University of Iceland, 2013, §4.2.
 */
export function downsample(series: Series, maxPoints: number): readonly number[] {
  const sorted = inOrder(series);
  if (sorted.length <= maxPoints) return [...sorted];
  const finite = finiteOf(series, sorted);
  if (finite.length === sorted.length) return lttb(series, finite, maxPoints);
  const budget = finite.length === 0 ? maxPoints : Math.floor(maxPoints / 2);
  const odd = thin(stretchEnds(series, sorted), budget);
  return [...lttb(series, finite, maxPoints - odd.length), ...odd].sort(series.compare);
}

/** The indexes in order; most series are logged in it. */
function inOrder(series: Series): Uint32Array {
  const indexes = new Uint32Array(series.length);
  let ordered = true;
  for (let i = 0; i < indexes.length; i++) {
    indexes[i] = i;
    if (ordered && i > 0 && series.compare(i - 1, i) > 0) ordered = false;
  }
  return ordered ? indexes : Uint32Array.from(Array.from(indexes).sort(series.compare));
}

function finiteOf(series: Series, sorted: Uint32Array): Uint32Array {
  const finite = new Uint32Array(sorted.length);
  let count = 0;
  for (let i = 0; i < sorted.length; i++)
    if (Number.isFinite(series.value(sorted[i]!))) finite[count++] = sorted[i]!;
  return finite.subarray(0, count);
}

/** The first and last point of each stretch of one non-finite value. */
function stretchEnds(series: Series, sorted: Uint32Array): Uint32Array {
  return sorted.filter((index, i) => {
    const value = series.value(index);
    if (Number.isFinite(value)) return false;
    const at = (place: number) => (place in sorted ? series.value(sorted[place]!) : undefined);
    return !Object.is(at(i - 1), value) || !Object.is(at(i + 1), value);
  });
}

/** Evenly spread over the list, the first and last included. */
function thin(indexes: Uint32Array, most: number): number[] {
  if (indexes.length <= most) return [...indexes];
  if (most <= 1) return [...indexes.subarray(0, most)];
  return Array.from(
    { length: most },
    (_, i) => indexes[Math.round((i * (indexes.length - 1)) / (most - 1))]!,
  );
}

function lttb(series: Series, indexes: Uint32Array, most: number): number[] {
  if (indexes.length <= most) return [...indexes];
  if (most <= 2) return thin(indexes, most);
  const x = series.abscissas(indexes);
  const y = series.values(indexes);
  const kept = [indexes[0]!];
  const width = (indexes.length - 2) / (most - 2);
  let last = 0;
  for (let bucket = 0; bucket < most - 2; bucket++) {
    const start = Math.floor(bucket * width) + 1;
    const end = Math.floor((bucket + 1) * width) + 1;
    const next = centre(x, y, end, Math.min(Math.floor((bucket + 2) * width) + 1, indexes.length));
    const [fromX, fromY] = [x[last]!, y[last]!];
    let best = start;
    let bestArea = -1;
    for (let i = start; i < end; i++) {
      const area = Math.abs((fromX - next.x) * (y[i]! - fromY) - (fromX - x[i]!) * (next.y - fromY));
      if (area > bestArea) {
        best = i;
        bestArea = area;
      }
    }
    kept.push(indexes[best]!);
    last = best;
  }
  kept.push(indexes.at(-1)!);
  return kept;
}

function centre(
  x: Float64Array,
  y: Float64Array,
  start: number,
  end: number,
): { readonly x: number; readonly y: number } {
  let [sumX, sumY] = [0, 0];
  for (let i = start; i < end; i++) {
    sumX += x[i]!;
    // Dividing first: the sum of finite numbers may overflow.
    sumY += y[i]! / (end - start);
  }
  return { x: sumX / (end - start), y: sumY };
}
