import { upperGamma } from './gamma.ts';
import type { TestResult } from './kolmogorov-smirnov.ts';

/** A category the reference never had counts as if half a row of it had been seen, so that the statistic stays finite. */
const unseen = 0.5;

/**
 * Pearson's chi-square test of the current counts against the reference's shares (goodness of fit), k - 1 degrees of
 * freedom over the categories of either.
 */
export function chiSquare(reference: ArrayLike<number>, current: ArrayLike<number>): TestResult {
  const r = Float64Array.from(reference);
  const c = Float64Array.from(current);
  const used = [...r.keys()].filter((i) => r[i]! > 0 || c[i]! > 0);
  const smoothed = used.map((i) => (r[i]! > 0 ? r[i]! : unseen));
  const scale = sum(c) / sum(smoothed);
  let statistic = 0;
  for (const [at, i] of used.entries()) {
    const expected = smoothed[at]! * scale;
    statistic += (c[i]! - expected) ** 2 / expected;
  }
  const freedom = used.length - 1;
  return { statistic, pValue: freedom < 1 ? 1 : upperGamma(freedom / 2, statistic / 2) };
}

function sum(values: ArrayLike<number>): number {
  return Array.from(values).reduce((total, value) => total + value, 0);
}
