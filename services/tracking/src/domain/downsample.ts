import type { Series } from './series.ts';

/**
 * At most `maxPoints` points of a series, by step and time, that keep its shape; their indexes. Finite points are chosen
 * by largest-triangle-three-buckets; of every stretch of NaN, +∞ or -∞ the first and last point are kept, at most half
 * of the budget in all, because a curve cannot show them and a person must see that they are there.
 * Source: S. Steinarsson, Downsampling Time Series for Visual Representation, University of Iceland, 2013, §4.2.
 */
export function downsample(series: Series, maxPoints: number): readonly number[] {
  const values = series.values();
  const ordered = series.isOrdered();
  // Most series: nothing is gathered, the columns are looked at as they are.
  if (ordered && series.length > maxPoints && series.isFinite())
    return lttb(series.abscissas(), values, maxPoints);
  const indexes = Uint32Array.from(values, (_, i) => i);
  const sorted = ordered ? indexes : Uint32Array.from(Array.from(indexes).sort(series.compare));
  if (sorted.length <= maxPoints) return [...sorted];
  const finite = sorted.filter((index) => Number.isFinite(values[index]!));
  const budget = finite.length === 0 ? maxPoints : Math.floor(maxPoints / 2);
  const odd = thin(stretchEnds(values, sorted), budget);
  const even = Float64Array.from(finite, (index) => values[index]!);
  const chosen = finite.length === 0 ? [] : lttb(series.abscissas(finite), even, maxPoints - odd.length);
  return [...chosen.map((place) => finite[place]!), ...odd].sort(series.compare);
}

/** The first and last point of each stretch of one non-finite value. */
function stretchEnds(values: Float64Array, sorted: Uint32Array): Uint32Array {
  return sorted.filter((index, i) => {
    const value = values[index]!;
    if (Number.isFinite(value)) return false;
    const at = (place: number) => (place in sorted ? values[sorted[place]!] : undefined);
    return !Object.is(at(i - 1), value) || !Object.is(at(i + 1), value);
  });
}

/** Evenly spread over a list, the first and last included. */
function thin(indexes: Uint32Array, most: number): number[] {
  return spread(indexes.length, most).map((place) => indexes[place]!);
}

/** At most so many places of a list of this length, evenly spread, the first and last included. */
function spread(length: number, most: number): number[] {
  const count = Math.min(length, most);
  if (count <= 1 || count === length) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - 1)) / (count - 1)));
}

/** The places of at most so many points of a curve. */
function lttb(x: Float64Array, y: Float64Array, most: number): number[] {
  if (x.length <= most || most <= 2) return spread(x.length, most);
  const kept = [0];
  const width = (x.length - 2) / (most - 2);
  let last = 0;
  for (let bucket = 0; bucket < most - 2; bucket++) {
    const start = Math.floor(bucket * width) + 1;
    const end = Math.floor((bucket + 1) * width) + 1;
    const next = centre(x, y, end, Math.min(Math.floor((bucket + 2) * width) + 1, x.length));
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
    kept.push(best);
    last = best;
  }
  kept.push(x.length - 1);
  return kept;
}

function centre(
  x: Float64Array,
  y: Float64Array,
  start: number,
  end: number,
): { readonly x: number; readonly y: number } {
  const share = 1 / (end - start);
  let [sumX, meanY] = [0, 0];
  for (let i = start; i < end; i++) {
    sumX += x[i]!;
    // Each its share: the sum of finite numbers may overflow.
    meanY += y[i]! * share;
  }
  return { x: sumX * share, y: meanY };
}
