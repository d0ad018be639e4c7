import { aligned, type PointColumns } from './columns.ts';
import type { Point } from './metric.ts';

/** Points of one metric in columns, as many as have been added; they are named by their index. */
export interface Series {
  readonly length: number;
  /** In order of {@link comparePoints}. */
  compare(i: number, j: number): number;
  value(i: number): number;
  /** Steps, or times where all points have the same step; relative to the first, so that large numbers keep their differences. */
  abscissas(indexes: Uint32Array): Float64Array;
  values(indexes: Uint32Array): Float64Array;
  point(i: number): Point;
}

export interface GrowingSeries extends Series {
  /** Adds the points of this metric in a batch; answers how many. */
  add(batch: PointColumns): number;
  /** Keeps only these, in this order. */
  keep(indexes: readonly number[]): void;
}

/**
 * An empty series of a metric. A million points take 32 MB and no object each. Steps are any 64-bit integers: they
 * are compared as numbers, which is monotone, and exactly where numbers are equal.
 */
export function createSeries(key: string): GrowingSeries {
  let length = 0;
  let values = new Float64Array(1024);
  let times = new Float64Array(1024);
  let steps = new BigInt64Array(1024);
  let stepNumbers = new Float64Array(1024);

  function resize(size: number): void {
    const grow = <A extends Float64Array | BigInt64Array>(before: A, after: A): A => {
      after.set(before.subarray(0, length) as never);
      return after;
    };
    values = grow(values, new Float64Array(size));
    times = grow(times, new Float64Array(size));
    steps = grow(steps, new BigInt64Array(size));
    stepNumbers = grow(stepNumbers, new Float64Array(size));
  }

  function put(
    from: { values: Float64Array; times: Float64Array; steps: BigInt64Array; numbers: Float64Array },
    i: number,
  ) {
    values[length] = from.values[i]!;
    times[length] = from.times[i]!;
    steps[length] = from.steps[i]!;
    stepNumbers[length] = from.numbers[i]!;
    length += 1;
  }

  const byTime = (first: number) => (i: number) => times[i]! - times[first]!;
  const byStep = (first: number, last: number) =>
    Number.isSafeInteger(stepNumbers[first]) && Number.isSafeInteger(stepNumbers[last])
      ? (i: number) => stepNumbers[i]! - stepNumbers[first]!
      : (i: number) => Number(steps[i]! - steps[first]!);

  return {
    get length() {
      return length;
    },
    add(batch) {
      const place = batch.keys.indexOf(key);
      if (place < 0) return 0;
      const before = length;
      if (length + batch.count > values.length) resize(Math.max(values.length * 2, length + batch.count));
      const keyIndexes = new Uint16Array(aligned(batch.keyIndexes));
      const stepBytes = aligned(batch.steps);
      const from = {
        values: new Float64Array(aligned(batch.values)),
        times: new Float64Array(aligned(batch.times)),
        steps: new BigInt64Array(stepBytes),
        numbers: numbersOf(stepBytes),
      };
      if (batch.keys.length === 1) {
        values.set(from.values, length);
        times.set(from.times, length);
        steps.set(from.steps, length);
        stepNumbers.set(from.numbers, length);
        length += batch.count;
      } else for (let i = 0; i < batch.count; i++) if (keyIndexes[i] === place) put(from, i);
      return length - before;
    },
    keep(indexes) {
      const from = {
        values: values.slice(),
        times: times.slice(),
        steps: steps.slice(),
        numbers: stepNumbers.slice(),
      };
      length = 0;
      for (const i of indexes) put(from, i);
    },
    compare(i, j) {
      const byNumber = stepNumbers[i]! - stepNumbers[j]!;
      if (byNumber !== 0) return byNumber;
      // Numbers beyond 2^53 stand for several integers.
      if (!Number.isSafeInteger(stepNumbers[i]) && steps[i] !== steps[j])
        return steps[i]! < steps[j]! ? -1 : 1;
      if (times[i] !== times[j]) return times[i]! - times[j]!;
      return compareValues(values[i]!, values[j]!);
    },
    value: (i) => values[i]!,
    values: (indexes) => {
      const found = new Float64Array(indexes.length);
      for (let i = 0; i < found.length; i++) found[i] = values[indexes[i]!]!;
      return found;
    },
    abscissas(indexes) {
      const found = new Float64Array(indexes.length);
      const [first, last] = [indexes[0]!, indexes.at(-1)!];
      const distance = steps[first] === steps[last] ? byTime(first) : byStep(first, last);
      for (let i = 0; i < found.length; i++) found[i] = distance(indexes[i]!);
      return found;
    },
    point: (i) => ({ key, value: values[i]!, step: steps[i]!, timestampMs: times[i]! }),
  };
}

/** NaN before all numbers. */
function compareValues(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1;
  if (Number.isNaN(b)) return 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** 64-bit integers as the nearest numbers, without a bigint for each. Little-endian, like the columns. */
function numbersOf(bytes: ArrayBuffer): Float64Array<ArrayBuffer> {
  const high = new Int32Array(bytes);
  const low = new Uint32Array(bytes);
  const numbers = new Float64Array(high.length / 2);
  for (let i = 0; i < numbers.length; i++) numbers[i] = high[2 * i + 1]! * 2 ** 32 + low[2 * i]!;
  return numbers;
}
