/**
 * Sums that come out the same in any order. A value is rounded to a whole number of units of its last decimal place;
 * whole numbers add exactly. DuckDB does the same in SQL (see ../duckdb/macros.ts), operation by operation, so that
 * both give the same bits.
 */

/** Values of more units than this are left out of windows, so that squares and their sums fit 128 bits. */
export const maxUnits = 2 ** 46;

/** A value in units of 10^-places, or undefined when it takes no part in windows. */
export function unitsOf(value: number, places: number): number | undefined {
  const units = Math.floor(value * 10 ** places + 0.5);
  return units >= -maxUnits && units <= maxUnits ? units : undefined;
}

const half = 2 ** 40;
const halfBits = 40n;
const mask = (1n << halfBits) - 1n;

/** A whole number as three limbs of 40 bits and more, all of its sign: a·2^80 + b·2^40 + c. */
export function toLimbs(value: bigint): readonly [number, number, number] {
  const sign = value < 0n ? -1 : 1;
  const size = value < 0n ? -value : value;
  const limb = (n: bigint) => (n === 0n ? 0 : sign * Number(n));
  return [limb(size >> 80n), limb((size >> halfBits) & mask), limb(size & mask)];
}

/** The double nearest to a whole number, by the same roundings as the SQL macro. */
export function toDouble(value: bigint): number {
  const [a, b, c] = toLimbs(value);
  return a * half * half + b * half + c;
}

/** A growing sum of whole numbers: a double while that is exact, a bigint beyond. */
export interface ExactSum {
  small: number;
  big: bigint;
}

export const zero = (): ExactSum => ({ small: 0, big: 0n });

/** Adds a whole number of at most 2^52. */
export function add(sum: ExactSum, whole: number): void {
  sum.small += whole;
  if (sum.small > 2 ** 52 || sum.small < -(2 ** 52)) {
    sum.big += BigInt(sum.small);
    sum.small = 0;
  }
}

/** Adds the square of a number of units. */
export function addSquare(sum: ExactSum, units: number): void {
  if (units < 2 ** 26 && units > -(2 ** 26)) add(sum, units * units);
  else sum.big += BigInt(units) * BigInt(units);
}

/** Adds a number that was taken apart by {@link toLimbs}. */
export function addLimbs(sum: ExactSum, a: number, b: number, c: number): void {
  if (a === 0 && b < 2048 && b > -2048) add(sum, b * half + c);
  else sum.big += (BigInt(a) << 80n) + (BigInt(b) << halfBits) + BigInt(c);
}

export const total = (sum: ExactSum): bigint => sum.big + BigInt(sum.small);
