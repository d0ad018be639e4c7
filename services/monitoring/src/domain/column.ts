/** A column of rows. Numbers have NaN, categories null, where a row has no value. */
export type ColumnData =
  | { readonly name: string; readonly kind: 'number'; readonly values: Float64Array }
  | { readonly name: string; readonly kind: 'category'; readonly values: readonly (string | null)[] };

/** How often a category occurs. */
export type CategoryCount = readonly [value: string, count: number];

/** A column in numbers, and a sample of it to compare with. */
export interface ColumnProfile {
  readonly column: string;
  readonly kind: ColumnData['kind'];
  readonly count: number;
  readonly nulls: number;
  /** Different values, counted up to 1,000. */
  readonly distinct: number;
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  /** Of the rows as a whole (ddof 0). */
  readonly stddev?: number;
  /** Upper edges of the bins, inclusive; the last is infinite. */
  readonly edges?: readonly number[];
  readonly binCounts?: readonly number[];
  /** Most frequent first. */
  readonly categories?: readonly CategoryCount[];
}

/** The profile of a baseline's column, with the sorted sample that tests need. */
export interface ReferenceColumn extends ColumnProfile {
  /** Sorted, without NaN; empty for categories. */
  readonly sample: Float64Array;
}
