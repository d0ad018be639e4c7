/**
 * First Wasserstein distance between two samples, sorted and without NaN: the area between their distribution functions.
 * In the unit of the values.
 */
export function wasserstein(a: Float64Array, b: Float64Array): number {
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
