import type { Dataset } from './dataset.ts';

/** Columns cut into at most 64 bins; bin 0 holds the missing values. */
export interface Binned {
  /** For each column one bin number a row. */
  readonly codes: readonly Uint8Array[];
  /** For each column the upper edges of its bins 1, 2, …; a value v is in the first bin whose edge is >= v. */
  readonly edges: readonly Float64Array[];
}

export const maxBins = 64;

/** Cuts at quantiles of each column, so that bins hold about as many rows each; equal values share a bin. */
export function bin(data: Dataset): Binned {
  const edges = data.columns.map(quantileEdges);
  const codes = data.columns.map((column, c) => {
    const codesOfColumn = new Uint8Array(data.rowCount);
    for (let i = 0; i < column.length; i++) codesOfColumn[i] = binOf(column[i]!, edges[c]!);
    return codesOfColumn;
  });
  return { codes, edges };
}

function quantileEdges(column: Float64Array): Float64Array {
  const sorted = column.filter((v) => !Number.isNaN(v)).sort();
  const edges: number[] = [];
  for (let b = 1; b < maxBins - 1; b++) {
    const edge = sorted[Math.floor((b * sorted.length) / (maxBins - 1))];
    if (edge !== undefined && edge !== edges.at(-1)) edges.push(edge);
  }
  edges.push(Number.POSITIVE_INFINITY);
  return Float64Array.from(edges);
}

function binOf(value: number, edges: Float64Array): number {
  if (Number.isNaN(value)) return 0;
  let low = 0;
  let high = edges.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value <= edges[middle]!) high = middle;
    else low = middle + 1;
  }
  return low + 1;
}
