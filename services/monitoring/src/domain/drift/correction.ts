/** How many tests at once are accounted for. */
export type Correction = 'none' | 'bonferroni' | 'benjamini-hochberg';

/**
 * The threshold for each p-value after correction: which of them, at a wanted level, are too small to be chance.
 * Benjamini-Hochberg gives every test the level of the largest p that is still accepted (Journal of the Royal
 * Statistical Society B 57, 1995).
 */
export function correctedThresholds(
  pValues: readonly number[],
  level: number,
  correction: Correction,
): readonly number[] {
  const count = pValues.length;
  if (correction === 'none' || count === 0) return pValues.map(() => level);
  if (correction === 'bonferroni') return pValues.map(() => level / count);
  const sorted = [...pValues].sort((a, b) => a - b);
  let rank = 0;
  for (let i = 0; i < count; i++) if (sorted[i]! <= (level * (i + 1)) / count) rank = i + 1;
  // Without any accepted test the strictest level is shown.
  return pValues.map(() => (level * Math.max(rank, 1)) / count);
}
