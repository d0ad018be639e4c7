/**
 * First Wasserstein distance between two samples, sorted and finite: the area between their distribution functions.
 * In the unit of the values; 0 between two empty samples, infinite when one is empty.
 */
export function wasserstein(a: Float64Array, b: Float64Array): number {
  if (a.length === 0 || b.length === 0) return a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  let distance = 0;
  let previous = Math.min(a[0]!, b[0]!);
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const value = j >= b.length || (i < a.length && a[i]! <= b[j]!) ? a[i]! : b[j]!;
    distance += Math.abs(i / a.length - j / b.length) * (value - previous);
    previous = value;
    while (i < a.length && a[i]! === value) i++;
    while (j < b.length && b[j]! === value) j++;
  }
  return distance;
}

/** The distance over the reference's standard deviation, at least 0.001: comparable between columns. */
export function normedWasserstein(
  reference: Float64Array,
  current: Float64Array,
  referenceDeviation: number,
): number {
  return wasserstein(reference, current) / Math.max(referenceDeviation, 0.001);
}
