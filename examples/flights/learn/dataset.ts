/** Rows to learn from, column by column. NaN stands for a value that is missing. */
export interface Dataset {
  readonly names: readonly string[];
  /** One array of `rowCount` numbers for each name. */
  readonly columns: readonly Float64Array[];
  /** 0 or 1 for each row. */
  readonly labels: Uint8Array;
  readonly rowCount: number;
}

/** A learned model: what it says and how it is written down. */
export interface Model {
  readonly kind: string;
  /** The probability of the positive class for each row. */
  predict(data: Dataset): Float64Array;
  /** The model as an ONNX file: input `features` [rows, columns], output `probability` [rows, 1], both FP32. */
  toOnnx(): Uint8Array;
}

/** The logistic function. */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}
