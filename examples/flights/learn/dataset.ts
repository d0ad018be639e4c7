/** Rows to learn from, column by column. NaN stands for a value that is missing. */
export interface Dataset {
  readonly names: readonly string[];
  /** One array of `rowCount` numbers for each name. */
  readonly columns: readonly Float64Array[];
  /** 0 or 1 for each row. */
  readonly labels: Uint8Array;
  readonly rowCount: number;
}

/** The logistic function. */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}
