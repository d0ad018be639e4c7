import { add, addLimbs, addSquare, type ExactSum, toDouble, total, unitsOf, zero } from './exact.ts';
import type { Measure } from './plan.ts';

/** The functions of windows. */
export const aggregateFunctions = ['count', 'sum', 'mean', 'min', 'max', 'stddev'] as const;
export type AggregateFunction = (typeof aggregateFunctions)[number];

/** What is kept of a set of values: enough for every function, and sets can be united. */
export interface Aggregate {
  count: number;
  readonly sum: ExactSum;
  readonly squares: ExactSum;
  min: number;
  max: number;
}

export const emptyAggregate = (): Aggregate => ({
  count: 0,
  sum: zero(),
  squares: zero(),
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
});

type Kept = Pick<Measure, 'places' | 'squared'>;

/** Takes a value in; NaN stands for null, and what has no units is left out as well. Squares are 0 where nobody needs them. */
export function addValue(into: Aggregate, value: number, { places, squared }: Kept): void {
  const units = unitsOf(value, places);
  if (units === undefined) return;
  into.count += 1;
  add(into.sum, units);
  if (squared) addSquare(into.squares, units);
  // Negative zero becomes zero, as in the rows of the other path: the two are equal, so which one came out would be chance.
  if (value < into.min) into.min = value + 0;
  if (value > into.max) into.max = value + 0;
}

/** How many numbers {@link addStored} reads: count, sum (3 limbs), squares (3 limbs), min, max. */
export const storedWidth = 9;

/** Unites with an aggregate that is stored from `at` on. */
export function addStored(
  into: Aggregate,
  data: Float64Array,
  at: number,
  { squared }: Pick<Measure, 'squared'>,
): void {
  into.count += data[at]!;
  addLimbs(into.sum, data[at + 1]!, data[at + 2]!, data[at + 3]!);
  if (squared) addLimbs(into.squares, data[at + 4]!, data[at + 5]!, data[at + 6]!);
  into.min = Math.min(into.min, data[at + 7]!);
  into.max = Math.max(into.max, data[at + 8]!);
}

/** The result of a function; null where there is none. The operations and their order are those of the SQL. */
export function resultOf(fn: AggregateFunction, set: Aggregate, places: number): number | null {
  const n = set.count;
  if (fn === 'count') return n;
  if (n === 0) return null;
  const scale = 10 ** places;
  switch (fn) {
    case 'sum':
      return toDouble(total(set.sum)) / scale;
    case 'mean':
      return toDouble(total(set.sum)) / n / scale;
    case 'min':
      return set.min + 0;
    case 'max':
      return set.max + 0;
    case 'stddev':
      return n < 2 ? null : deviation(n, total(set.sum), total(set.squares)) / scale;
  }
}

/** Beyond this n·Σx² might not fit the 128 bits that SQL has. */
const exactLimit = 2 ** 126;

/** From n·Σx² - (Σx)², which is exact, so that a large mean takes no digits from a small deviation. */
function deviation(n: number, sum: bigint, squares: bigint): number {
  const d = toDouble(squares);
  if (d * n < exactLimit) return Math.sqrt(toDouble(BigInt(n) * squares - sum * sum) / (n * (n - 1)));
  const s = toDouble(sum);
  return Math.sqrt(Math.max(0, (d - s * (s / n)) / (n - 1)));
}
