import type { AggregateFunction } from './aggregate.ts';
import { hops, levelOf } from './window.ts';

/** A value of a column. INT64 values and TIMESTAMP values (microseconds since 1970) are bigints. */
export type Cell = null | boolean | number | bigint | string;

/** A column whose values go into windows, with the decimal places they are rounded to. */
export interface Measure {
  readonly column: string;
  readonly places: number;
  /** Whether a window needs the squares of its values. */
  readonly squared: boolean;
}

/** One function over one window of one measure. */
export interface WindowFeature {
  readonly name: string;
  readonly fn: AggregateFunction;
  /** An index into the measures; -1 counts rows. */
  readonly measure: number;
  readonly windowUs: number;
}

/** What a view computes, in the form that the tile algebra and the SQL work from. */
export interface ViewPlan {
  readonly measures: readonly Measure[];
  readonly windows: readonly WindowFeature[];
  /** The longest window of each level; 0 where there is none. */
  readonly longestUs: readonly [number, number, number];
  /** Names of the plain features' columns. */
  readonly plain: readonly string[];
}

export interface PlannedAggregation {
  readonly name: string;
  readonly fn: AggregateFunction;
  /** Empty counts rows. */
  readonly column: string;
  readonly windowUs: number;
  readonly places: number;
}

/** Gathers the measures of a view's aggregations. */
export function planOf(plain: readonly string[], aggregations: readonly PlannedAggregation[]): ViewPlan {
  const measures: Measure[] = [];
  const longestUs: [number, number, number] = [0, 0, 0];
  const windows = aggregations.map(({ name, fn, column, windowUs, places }) => {
    const level = levelOf(windowUs);
    longestUs[level] = Math.max(longestUs[level], windowUs);
    const measure = column === '' ? -1 : indexOf(measures, column, places);
    if (fn === 'stddev') measures[measure] = { column, places, squared: true };
    return { name, fn, measure, windowUs };
  });
  return { measures, windows, longestUs, plain };
}

function indexOf(measures: Measure[], column: string, places: number): number {
  const found = measures.findIndex((m) => m.column === column && m.places === places);
  return found >= 0 ? found : measures.push({ column, places, squared: false }) - 1;
}

/** Rows older than this, seen from the newest, can no longer be in a window that is read within the horizon. */
export function reachUs(plan: ViewPlan, horizonUs: number): number {
  const tails = plan.longestUs.map((longest, level) => (longest === 0 ? 0 : longest + hops[level]!));
  return horizonUs + Math.max(...tails);
}
