/** The median of several rounds, and how far they lay apart. */
export interface Statistic {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function statisticOf(values: readonly number[]): Statistic {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [
    sorted[(sorted.length - 1) >> 1] ?? Number.NaN,
    sorted[sorted.length >> 1] ?? Number.NaN,
  ];
  return { median: (low + high) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}
