import type { CategoryCount, ColumnData, ColumnProfile, ReferenceColumn } from './column.ts';

/** Bins of a baseline: tenths of its rows. Fixed with the baseline, so that windows compare with each other. */
const binCount = 10;
const maxDistinct = 1000;
const maxCategories = 100;
/** More rows than this are thinned evenly over the sorted values: quantiles stay, tests stay quick. */
const sampleSize = 20_000;
/** Values a baseline keeps of all its columns together: 8 MiB of them. */
const maxSamples = 1_048_576;

/** Profiles a baseline's column, with a sample of at most `size` values. */
export function profileReference(data: ColumnData, size = sampleSize): ReferenceColumn {
  if (data.kind === 'category')
    return { ...profileCategories(data.name, data.values), sample: new Float64Array() };
  const sorted = sortedValues(data.values);
  const edges = quantileEdges(sorted);
  return { ...profileNumbers(data.name, data.values, sorted, edges), sample: thin(sorted, size) };
}

/** Profiles a window's column in the bins of its reference; `sorted` are its numbers in order. */
export function profileCurrent(
  data: ColumnData,
  reference: ColumnProfile,
  sorted: Float64Array,
): ColumnProfile {
  if (data.kind === 'category') return profileCategories(data.name, data.values);
  return profileNumbers(data.name, data.values, sorted, reference.edges ?? quantileEdges(sorted));
}

/** The values without NaN, in order. */
export function sortedValues(values: Float64Array): Float64Array {
  const sorted = values.toSorted();
  // NaN comes last.
  let end = sorted.length;
  while (end > 0 && Number.isNaN(sorted[end - 1])) end--;
  return end === sorted.length ? sorted : sorted.slice(0, end);
}

/** The different ones of sorted values. */
export function differentValues(sorted: Float64Array): number[] {
  const different: number[] = [];
  for (const value of sorted) if (value !== different.at(-1)) different.push(value);
  return different;
}

/** How often each category occurs, most frequent first. */
export function countCategories(values: readonly (string | null)[]): CategoryCount[] {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

/** How many sorted values fall in each bin. */
export function countBins(sorted: Float64Array, edges: readonly number[]): number[] {
  const counts = edges.map(() => 0);
  for (let i = 0, bin = 0; i < sorted.length; i++) {
    while (sorted[i]! > edges[bin]!) bin++;
    counts[bin]!++;
  }
  return counts;
}

function profileNumbers(
  column: string,
  values: Float64Array,
  sorted: Float64Array,
  edges: readonly number[],
): ColumnProfile {
  const base = {
    column,
    kind: 'number' as const,
    count: values.length,
    nulls: values.length - sorted.length,
  };
  const binCounts = countBins(sorted, edges);
  if (sorted.length === 0) return { ...base, distinct: 0, edges, binCounts };
  const moments = momentsOf(sorted);
  return {
    ...base,
    ...moments,
    distinct: distinctOf(sorted),
    min: sorted[0]!,
    max: sorted.at(-1)!,
    edges,
    binCounts,
  };
}

/** Mean and deviation of the finite values (ddof 0); none without any. */
function momentsOf(sorted: Float64Array): { readonly mean?: number; readonly stddev?: number } {
  let [from, to] = [0, sorted.length];
  while (from < to && !Number.isFinite(sorted[from])) from++;
  while (to > from && !Number.isFinite(sorted[to - 1])) to--;
  if (from === to) return {};
  let sum = 0;
  for (let i = from; i < to; i++) sum += sorted[i]!;
  const mean = sum / (to - from);
  let squares = 0;
  for (let i = from; i < to; i++) squares += (sorted[i]! - mean) ** 2;
  return { mean, stddev: Math.sqrt(squares / (to - from)) };
}

function profileCategories(column: string, values: readonly (string | null)[]): ColumnProfile {
  const categories = countCategories(values);
  const nulls = values.length - categories.reduce((sum, [, count]) => sum + count, 0);
  const distinct = Math.min(categories.length, maxDistinct);
  return {
    column,
    kind: 'category',
    count: values.length,
    nulls,
    distinct,
    categories: categories.slice(0, maxCategories),
  };
}

function quantileEdges(sorted: Float64Array): number[] {
  const edges: number[] = [];
  for (let b = 1; b < binCount; b++) {
    const edge = sorted[Math.ceil((b * sorted.length) / binCount) - 1];
    if (edge !== undefined && Number.isFinite(edge) && edge !== edges.at(-1)) edges.push(edge);
  }
  edges.push(Number.POSITIVE_INFINITY);
  return edges;
}

function distinctOf(sorted: Float64Array): number {
  let distinct = 1;
  for (let i = 1; i < sorted.length && distinct < maxDistinct; i++)
    if (sorted[i] !== sorted[i - 1]) distinct++;
  return distinct;
}

/** How many values of each column a baseline keeps: fewer where there are many columns, as one document holds them all. */
export function sampleSizeOf(columns: number): number {
  return Math.max(100, Math.min(sampleSize, Math.floor(maxSamples / Math.max(columns, 1))));
}

/** Keeps at most `size` values, evenly spaced by rank, the ends included. */
export function thin(sorted: Float64Array, size = sampleSize): Float64Array {
  if (sorted.length <= size) return sorted;
  const step = (sorted.length - 1) / (size - 1);
  return Float64Array.from({ length: size }, (_, i) => sorted[Math.round(i * step)]!);
}
