/**
 * Draws numbers from 0 to `count` - 1, each so often as Zipf's law says: the n-th in proportion to 1 / n ^ `exponent`. The
 * same seed gives the same draws.
 */
export function zipf(count: number, exponent: number, seed: number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let n = 0; n < count; n++) {
    sum += 1 / (n + 1) ** exponent;
    sums[n] = sum;
  }
  let state = seed >>> 0;
  return () => {
    // Mulberry32.
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const wanted = (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
