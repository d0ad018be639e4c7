import type { ColumnData, ColumnProfile } from './column.ts';

/** What is wrong with a window's column, as shares of its rows. */
export interface Quality {
  readonly column: string;
  readonly nullShare: number;
  /** Numbers outside the baseline's smallest and largest. */
  readonly outOfRangeShare: number;
  /** Categories the baseline's column did not have. */
  readonly newCategoryShare: number;
  /** At most ten of them, each cut to 100 characters. */
  readonly newCategories: readonly string[];
}

/** Looks at every column of a window; ranges and categories only where there is a baseline. */
export function judgeQuality(window: readonly ColumnData[], references: readonly ColumnProfile[]): Quality[] {
  return window.map((data) => {
    const reference = references.find(
      (profile) => profile.column === data.name && profile.kind === data.kind,
    );
    const rows = Math.max(data.values.length, 1);
    if (data.kind === 'number') {
      const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = reference ?? {};
      let nulls = 0;
      let outside = 0;
      for (const value of data.values) {
        if (Number.isNaN(value)) nulls++;
        else if (value < min || value > max) outside++;
      }
      return {
        column: data.name,
        nullShare: nulls / rows,
        outOfRangeShare: outside / rows,
        newCategoryShare: 0,
        newCategories: [],
      };
    }
    // A baseline with more categories than it lists cannot tell which are new.
    const complete = reference?.categories !== undefined && reference.categories.length >= reference.distinct;
    const known = complete ? new Map(reference.categories) : undefined;
    const added = new Set<string>();
    let nulls = 0;
    let unknown = 0;
    for (const value of data.values) {
      if (value === null) nulls++;
      else if (known && !known.has(value)) {
        unknown++;
        if (added.size < 10) added.add(value.slice(0, 100));
      }
    }
    return {
      column: data.name,
      nullShare: nulls / rows,
      outOfRangeShare: 0,
      newCategoryShare: unknown / rows,
      newCategories: [...added],
    };
  });
}
