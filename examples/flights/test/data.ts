import type { Dataset } from '../learn/dataset.ts';

/** Deterministic numbers in [0, 1). Source: Numerical Recipes, 7.1. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (1664525 * state + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** Rows of which the first columns decide, with noise, and of which some values are missing. */
export function synthetic(
  rowCount: number,
  options: { columns?: number; missing?: number; seed?: number } = {},
): Dataset {
  const { columns = 3, missing = 0, seed = 1 } = options;
  const next = random(seed);
  const values = Array.from({ length: columns }, () =>
    Float64Array.from({ length: rowCount }, () => Math.fround(next() * 4 - 2)),
  );
  const labels = Uint8Array.from({ length: rowCount }, (_, i) => {
    const margin = 2 * values[0]![i]! - (values[1]?.[i] ?? 0);
    return Number(next() < 1 / (1 + Math.exp(-margin)));
  });
  const gappy = values.map((column) => column.map((v) => (next() < missing ? Number.NaN : v)));
  return { names: gappy.map((_, i) => `x${i}`), columns: gappy, labels, rowCount };
}
