import { type Dataset, sigmoid } from './dataset.ts';

export interface Logistic {
  /** What a missing value counts as, one for each column: the column's mean. */
  readonly means: Float64Array;
  readonly deviations: Float64Array;
  /** On standardised columns. */
  readonly weights: Float64Array;
  readonly intercept: number;
}

const iterations = 25;
const tolerance = 1e-8;

/**
 * Logistic regression with an L2 penalty, by Newton's method (iteratively reweighted least squares) on standardised
 * columns; missing values take the column's mean. Source: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 4.4.1.
 */
export function fitLogistic(data: Dataset, options: { readonly lambda: number }): Logistic {
  const { means, deviations } = moments(data);
  const size = data.columns.length + 1;
  const x = data.columns.map((column, c) =>
    column.map((v) => (Number.isNaN(v) ? 0 : (v - means[c]!) / deviations[c]!)),
  );
  x.push(new Float64Array(data.rowCount).fill(1));
  const weights = new Float64Array(size);
  const row = new Float64Array(size);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const hessian = Array.from({ length: size }, () => new Float64Array(size));
    const gradient = new Float64Array(size);
    for (let i = 0; i < data.rowCount; i++) {
      let margin = 0;
      for (let c = 0; c < size; c++) {
        row[c] = x[c]![i]!;
        margin += weights[c]! * row[c]!;
      }
      const p = sigmoid(margin);
      const error = p - data.labels[i]!;
      const weight = p * (1 - p);
      for (let a = 0; a < size; a++) {
        const xa = row[a]!;
        gradient[a]! += error * xa;
        const line = hessian[a]!;
        for (let b = 0; b <= a; b++) line[b]! += weight * xa * row[b]!;
      }
    }
    for (let a = 0; a < size; a++) {
      const penalty = a < size - 1 ? options.lambda : 0;
      gradient[a]! += penalty * weights[a]!;
      hessian[a]![a]! += penalty + 1e-9;
    }
    const step = solve(hessian, gradient);
    for (let c = 0; c < size; c++) weights[c]! -= step[c]!;
    if (Math.max(...step.map(Math.abs)) < tolerance) break;
  }
  return { means, deviations, weights: weights.slice(0, -1), intercept: weights[size - 1]! };
}

/** The probability of the positive class for each row. */
export function predictLogistic(model: Logistic, data: Dataset): Float64Array {
  const margins = new Float64Array(data.rowCount).fill(model.intercept);
  for (const [c, column] of data.columns.entries()) {
    const scale = model.weights[c]! / model.deviations[c]!;
    for (let i = 0; i < column.length; i++) {
      const v = column[i]!;
      if (!Number.isNaN(v)) margins[i]! += (v - model.means[c]!) * scale;
    }
  }
  return margins.map(sigmoid);
}

function moments(data: Dataset) {
  const means = new Float64Array(data.columns.length);
  const deviations = new Float64Array(data.columns.length);
  for (const [c, column] of data.columns.entries()) {
    const known = column.filter((v) => !Number.isNaN(v));
    const mean = known.reduce((sum, v) => sum + v, 0) / Math.max(known.length, 1);
    const variance = known.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(known.length, 1);
    means[c] = mean;
    deviations[c] = Math.sqrt(variance) || 1;
  }
  return { means, deviations };
}

/** Solves A x = b for a symmetric positive definite A given by its lower triangle, by Cholesky's decomposition. */
function solve(a: Float64Array[], b: Float64Array): Float64Array {
  const n = b.length;
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = a[i]![j]!;
      for (let k = 0; k < j; k++) sum -= a[i]![k]! * a[j]![k]!;
      a[i]![j] = i === j ? Math.sqrt(sum) : sum / a[j]![j]!;
    }
  }
  const x = b.slice();
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i]! -= a[i]![k]! * x[k]!;
    x[i]! /= a[i]![i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i]! -= a[k]![i]! * x[k]!;
    x[i]! /= a[i]![i]!;
  }
  return x;
}
