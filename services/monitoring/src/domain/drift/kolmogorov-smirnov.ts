/** A statistic and its p-value. */
export interface TestResult {
  readonly statistic: number;
  readonly pValue: number;
}

/** Up to this size of the larger sample the p-value is exact, as in SciPy's `auto` mode. */
const exactLimit = 10_000;
/** Path counting costs m·n steps; beyond this the limit distribution is used. */
const exactSteps = 25_000_000;

/**
 * Two-sample Kolmogorov-Smirnov test, two-sided, on sorted samples without NaN.
 * Exact p-values by counting lattice paths (Hodges, Arkiv för Matematik 3, 1958), as the probability of having left the
 * band rather than of having stayed, so that small p-values keep their digits; for large samples Kolmogorov's limit.
 */
export function kolmogorovSmirnov(reference: Float64Array, current: Float64Array): TestResult {
  const m = reference.length;
  const n = current.length;
  const statistic = largestGap(reference, current);
  const exact = Math.max(m, n) <= exactLimit && m * n <= exactSteps;
  return { statistic, pValue: exact ? exactPValue(statistic, m, n) : limitPValue(statistic, m, n) };
}

/** The largest distance between the empirical distribution functions. */
function largestGap(a: Float64Array, b: Float64Array): number {
  let gap = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const value = Math.min(a[i]!, b[j]!);
    while (i < a.length && a[i]! === value) i++;
    while (j < b.length && b[j]! === value) j++;
    gap = Math.max(gap, Math.abs(i / a.length - j / b.length));
  }
  return gap;
}

/** The share of lattice paths from (0, 0) to (m, n) that somewhere reach a distance of at least `d` from the diagonal. */
export function exactPValue(d: number, m: number, n: number): number {
  // Distances are multiples of 1/lcm(m, n); half of one tells equal from smaller in spite of rounding.
  const least = d - 0.5 / (m * n);
  const outside = new Float64Array(n + 1);
  for (let i = 0; i <= m; i++) {
    for (let j = 0; j <= n; j++) {
      if (Math.abs(i / m - j / n) >= least) outside[j] = 1;
      else if (i + j === 0) outside[j] = 0;
      // Among all paths, the share i/(i+j) of those through (i, j) comes from (i-1, j).
      else outside[j] = ((i > 0 ? i * outside[j]! : 0) + (j > 0 ? j * outside[j - 1]! : 0)) / (i + j);
    }
  }
  return outside[n]!;
}

/** Kolmogorov's limit distribution: 2 Σ (-1)^(k-1) exp(-2 k² λ²), λ = d √(mn / (m+n)). */
export function limitPValue(d: number, m: number, n: number): number {
  const lambda2 = d ** 2 * ((m * n) / (m + n));
  if (lambda2 < 0.04) return 1;
  let sum = 0;
  for (let k = 1; k <= 100; k++) {
    const term = Math.exp(-2 * k ** 2 * lambda2);
    sum += k % 2 === 1 ? term : -term;
    if (term < 1e-18 * sum) break;
  }
  return Math.min(1, Math.max(0, 2 * sum));
}
