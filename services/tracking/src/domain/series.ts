import { type PointColumns, type PointViews, viewsOf } from './columns.ts';
import { compareValues, type Point } from './metric.ts';

/** Points of one metric in columns, as many as have been added; they are named by their index. */
export interface Series {
  readonly length: number;
  /** In order of {@link comparePoints}. */
  compare(i: number, j: number): number;
  /** The value of each point. */
  values(): Float64Array;
  /** Whether the points are in their order, as most were logged. */
  isOrdered(): boolean;
  /** Whether no value is NaN or infinite. */
  isFinite(): boolean;
  /**
   * Steps, or times where all points have the same step, of these points (all, when none are named, and they are in
   * order); relative to the first, so that large numbers keep their differences.
   */
  abscissas(indexes?: Uint32Array): Float64Array;
  point(i: number): Point;
}

export interface GrowingSeries extends Series {
  /** Adds the points of this metric in a batch, whose bytes must not change any more; answers how many. */
  add(batch: PointColumns): number;
  /** Keeps only these, in this order. */
  keep(indexes: readonly number[]): void;
  /**
   * Puts whole batches in the order of their first points, which gives points other indexes. Calls side by side are stored
   * in the order in which they came, which is rarely that of their steps, and a few batches are sorted sooner than a million points.
   */
  arrange(): void;
}

type Part = Omit<PointViews, 'keyIndexes'>;

/** Differences of steps are exact as numbers while all steps are within this distance from zero. */
const exactSteps = 2 ** 52;

/**
 * An empty series of a metric. It holds the columns of batches as they were read, and joins what an answer needs: a
 * million points take 26 MB, and 16 more while they are looked at. Steps are any 64-bit integers: they are compared as
 * numbers, which is monotone, and exactly where numbers are equal.
 */
export function createSeries(key: string): GrowingSeries {
  let parts: Part[] = [];
  /** The index of each part's first point. */
  let begins: number[] = [];
  let length = 0;
  let joined = joinLazily(parts, length);

  function clear(): void {
    [parts, begins, length] = [[], [], 0];
    joined = joinLazily(parts, length);
  }

  function addPart(part: Part): void {
    parts.push(part);
    begins.push(length);
    length += part.values.length;
    joined = joinLazily(parts, length);
  }

  function point(i: number): Point {
    const at = partOf(begins, i);
    const { values, steps, times } = parts[at]!;
    const n = i - begins[at]!;
    return { key, value: values[n]!, step: steps[n]!, timestampMs: times[n]! };
  }

  function compare(i: number, j: number): number {
    const { values, distances, exact } = joined.columns();
    const byNumber = distances[i]! - distances[j]!;
    if (byNumber !== 0) return byNumber;
    const steps = exact ? undefined : joined.steps();
    if (steps && steps[i] !== steps[j]) return steps[i]! < steps[j]! ? -1 : 1;
    const times = joined.times();
    if (times[i] !== times[j]) return times[i]! - times[j]!;
    return compareValues(values[i]!, values[j]!);
  }

  return {
    get length() {
      return length;
    },
    point,
    compare,
    values: () => joined.columns().values,
    isFinite: () => joined.columns().finite,
    isOrdered() {
      const { ascending, distances } = joined.columns();
      for (let i = 1; !ascending && i < length; i++)
        if (!(distances[i]! > distances[i - 1]!) && compare(i - 1, i) > 0) return false;
      return true;
    },
    add(batch) {
      const place = batch.keys.indexOf(key);
      if (place < 0) return 0;
      const { keyIndexes, ...all } = viewsOf(batch);
      const before = length;
      addPart(batch.keys.length === 1 ? all : pick(all, placesOf(keyIndexes, place)));
      return length - before;
    },
    keep(indexes) {
      const { columns, steps, times } = joined;
      const kept = pick({ values: columns().values, steps: steps(), times: times() }, indexes);
      clear();
      addPart(kept);
    },
    arrange() {
      const given = parts.filter((part) => part.values.length > 0);
      const inOrder = (part: Part, i: number) => i === 0 || compareFirst(given[i - 1]!, part) <= 0;
      if (given.every(inOrder)) return;
      const arranged = given.sort(compareFirst);
      clear();
      for (const part of arranged) addPart(part);
    },
    abscissas(indexes) {
      const [first, last] = [indexes ? indexes[0]! : 0, indexes ? indexes.at(-1)! : length - 1];
      const { distances, exact } = joined.columns();
      if (point(first).step === point(last).step) return relative(joined.times(), indexes);
      if (!exact) return relativeExactly(joined.steps(), indexes);
      return indexes ? relative(distances, indexes) : distances;
    },
  };
}

/** In the order of the first point of each. */
function compareFirst(a: Part, b: Part): number {
  if (a.steps[0] !== b.steps[0]) return a.steps[0]! < b.steps[0]! ? -1 : 1;
  if (a.times[0] !== b.times[0]) return a.times[0]! - b.times[0]!;
  return compareValues(a.values[0]!, b.values[0]!);
}

/** Columns over all parts, joined when they are first asked for. */
function joinLazily(parts: readonly Part[], length: number) {
  let columns: ReturnType<typeof joinColumns> | undefined;
  let times: Float64Array | undefined;
  let steps: BigInt64Array | undefined;
  return {
    columns: () => (columns ??= joinColumns(parts, length)),
    times: () => (times ??= join(parts, new Float64Array(length), (part) => part.times)),
    steps: () => (steps ??= join(parts, new BigInt64Array(length), (part) => part.steps)),
  };
}

function join<A extends Float64Array | BigInt64Array>(
  parts: readonly Part[],
  whole: A,
  column: (part: Part) => A,
): A {
  let at = 0;
  for (const part of parts) {
    whole.set(column(part) as never, at);
    at += part.values.length;
  }
  return whole;
}

/** What a curve is drawn of, and what there is to know of it, in one pass, for there may be millions of points. */
function joinColumns(parts: readonly Part[], length: number) {
  const values = new Float64Array(length);
  /** Each step less the first one, as the nearest number: never in another order than the steps. */
  const distances = new Float64Array(length);
  const first = Number(parts.find((part) => part.steps.length > 0)?.steps[0] ?? 0n);
  let [least, greatest, before, at] = [first, first, -Infinity, 0];
  let [ascending, finite] = [true, true];
  for (const part of parts) {
    values.set(part.values, at);
    // Steps without a bigint for each. Little-endian, like all columns.
    const high = new Int32Array(part.steps.buffer, part.steps.byteOffset, part.steps.length * 2);
    const low = new Uint32Array(high.buffer, high.byteOffset, high.length);
    for (let i = 0; i < part.values.length; i++) {
      const step = high[2 * i + 1]! * 2 ** 32 + low[2 * i]!;
      if (!(step > before)) ascending = false;
      if (step < least) least = step;
      if (step > greatest) greatest = step;
      if (!Number.isFinite(part.values[i]!)) finite = false;
      before = step;
      distances[at++] = step - first;
    }
  }
  const exact = least >= -exactSteps && greatest <= exactSteps;
  return { values, distances, ascending, finite, exact };
}

/** Numbers less the first of them. */
function relative(numbers: Float64Array, indexes: Uint32Array | undefined): Float64Array {
  const found = new Float64Array(indexes?.length ?? numbers.length);
  const first = numbers[indexes ? indexes[0]! : 0]!;
  for (let i = 0; i < found.length; i++) found[i] = numbers[indexes ? indexes[i]! : i]! - first;
  return found;
}

function relativeExactly(steps: BigInt64Array, indexes: Uint32Array | undefined): Float64Array {
  const found = new Float64Array(indexes?.length ?? steps.length);
  const first = steps[indexes ? indexes[0]! : 0]!;
  for (let i = 0; i < found.length; i++) found[i] = Number(steps[indexes ? indexes[i]! : i]! - first);
  return found;
}

/** The last part that begins at this point or before it. */
function partOf(begins: readonly number[], i: number): number {
  let [low, high] = [0, begins.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (begins[middle]! <= i) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Where in a batch a metric has its points. */
function placesOf(keyIndexes: Uint16Array, key: number): number[] {
  const places: number[] = [];
  for (let i = 0; i < keyIndexes.length; i++) if (keyIndexes[i] === key) places.push(i);
  return places;
}

function pick({ values, steps, times }: Part, indexes: readonly number[]): Part {
  const picked = {
    values: new Float64Array(indexes.length),
    steps: new BigInt64Array(indexes.length),
    times: new Float64Array(indexes.length),
  };
  for (const [to, from] of indexes.entries()) {
    picked.values[to] = values[from]!;
    picked.steps[to] = steps[from]!;
    picked.times[to] = times[from]!;
  }
  return picked;
}
