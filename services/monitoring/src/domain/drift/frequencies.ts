/** What an empty bin counts as where a logarithm is taken, as is usual for the population stability index. */
const floor = 0.0001;

/**
 * Population stability index: Σ (c - r) ln(c / r) over shares, empty bins filled.
 * Source: Siddiqi, Credit Risk Scorecards, 2006.
 */
export function populationStability(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const r = shares(reference);
  const c = shares(current);
  const smallest = Math.min(...[...r, ...c].filter((share) => share > 0));
  const fill = smallest <= floor ? smallest / 1e6 : floor;
  let index = 0;
  for (let i = 0; i < r.length; i++) {
    const from = r[i]! || fill;
    const to = c[i]! || fill;
    index += (to - from) * Math.log(to / from);
  }
  return index;
}

/** Jensen-Shannon distance: the root of the divergence, natural logarithm; 0 to √ln 2. Source: Endres and Schindelin, 2003. */
export function jensenShannon(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const r = shares(reference);
  const c = shares(current);
  let divergence = 0;
  for (let i = 0; i < r.length; i++) {
    const middle = (r[i]! + c[i]!) / 2;
    if (r[i]! > 0) divergence += (r[i]! * Math.log(r[i]! / middle)) / 2;
    if (c[i]! > 0) divergence += (c[i]! * Math.log(c[i]! / middle)) / 2;
  }
  return Math.sqrt(Math.max(0, divergence));
}

function shares(counts: ArrayLike<number>): Float64Array {
  const list = Float64Array.from(counts);
  const total = list.reduce((sum, count) => sum + count, 0);
  return list.map((count) => count / total);
}
