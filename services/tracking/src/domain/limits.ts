/** What one run may hold. They keep a run's document well below the 16 MiB that MongoDB allows. */
export const limits = {
  /** Different metrics of a run. */
  metricKeys: 10_000,
  params: 2_000,
  tags: 1_000,
  /** Characters of all params and tags together, names included. */
  textChars: 1024 * 1024,
  datasetInputs: 1_000,
} as const;

/** The limits of filter expressions: parsing and evaluating stay cheap whatever a caller sends. */
export const filterLimits = {
  lengthChars: 8192,
  /** Nested parentheses and NOTs. */
  depth: 64,
  comparisons: 256,
  listItems: 1000,
  patternChars: 256,
  sortKeys: 8,
} as const;
