import { type Binned, maxBins } from './bins.ts';

/** A node of a regression tree: a split, or a leaf with its value. */
export type Node =
  | {
      readonly column: number;
      readonly threshold: number;
      readonly missingLeft: boolean;
      readonly left: Node;
      readonly right: Node;
    }
  | { readonly value: number };

export interface TreeOptions {
  readonly maxLeaves: number;
  readonly minRows: number;
  /** L2 penalty on leaf values. */
  readonly lambda: number;
}

interface Leaf {
  readonly rows: Uint32Array;
  readonly histogram: Float64Array;
  readonly gradient: number;
  readonly hessian: number;
  readonly split: Split | undefined;
  readonly place: { node: Node };
}

interface Split {
  readonly gain: number;
  readonly column: number;
  readonly code: number;
  readonly missingLeft: boolean;
}

/** A split must lower the loss by more than this. */
const minGain = 1e-6;

/**
 * Grows one tree best-first on gradients and Hessians, from histograms; the larger child's histogram is its parent's
 * less its sibling's. Sources: Friedman, Annals of Statistics 29 (2001); Chen and Guestrin, KDD 2016, equation 7; Ke et al., NIPS 2017.
 */
export function growTree(
  binned: Binned,
  gradients: Float64Array,
  hessians: Float64Array,
  rows: Uint32Array,
  options: TreeOptions,
): Node {
  const columns = binned.codes.length;
  const leafOf = (rowsOfLeaf: Uint32Array, histogram: Float64Array, place: { node: Node }): Leaf => {
    let gradient = 0;
    let hessian = 0;
    for (let b = 0; b < maxBins; b++) {
      gradient += histogram[b * 3]!;
      hessian += histogram[b * 3 + 1]!;
    }
    place.node = { value: -gradient / (hessian + options.lambda) };
    const split =
      rowsOfLeaf.length < 2 * options.minRows
        ? undefined
        : bestSplit(histogram, columns, gradient, hessian, rowsOfLeaf.length, options);
    return { rows: rowsOfLeaf, histogram, gradient, hessian, split, place };
  };
  const root = { node: { value: 0 } as Node };
  const open = [leafOf(rows, histogramOf(binned, gradients, hessians, rows), root)];
  for (let leaves = 1; leaves < options.maxLeaves; leaves++) {
    const best = open.reduce((a, b) => ((b.split?.gain ?? 0) > (a.split?.gain ?? 0) ? b : a));
    const { split } = best;
    if (!split) break;
    open.splice(open.indexOf(best), 1);
    const [leftRows, rightRows] = partition(best.rows, binned.codes[split.column]!, split);
    const small = leftRows.length <= rightRows.length ? leftRows : rightRows;
    const smallHistogram = histogramOf(binned, gradients, hessians, small);
    const largeHistogram = best.histogram;
    for (let i = 0; i < largeHistogram.length; i++) largeHistogram[i]! -= smallHistogram[i]!;
    const left = { node: { value: 0 } as Node };
    const right = { node: { value: 0 } as Node };
    open.push(leafOf(leftRows, small === leftRows ? smallHistogram : largeHistogram, left));
    open.push(leafOf(rightRows, small === rightRows ? smallHistogram : largeHistogram, right));
    const threshold = binned.edges[split.column]![split.code - 1]!;
    const { column, missingLeft } = split;
    best.place.node = {
      column,
      threshold,
      missingLeft,
      get left() {
        return left.node;
      },
      get right() {
        return right.node;
      },
    };
  }
  return root.node;
}

/** Sums of gradient, Hessian and rows for each bin of each column. */
function histogramOf(
  binned: Binned,
  gradients: Float64Array,
  hessians: Float64Array,
  rows: Uint32Array,
): Float64Array {
  const histogram = new Float64Array(binned.codes.length * maxBins * 3);
  for (let c = 0; c < binned.codes.length; c++) {
    const codes = binned.codes[c]!;
    const base = c * maxBins;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const at = (base + codes[row]!) * 3;
      histogram[at]! += gradients[row]!;
      histogram[at + 1]! += hessians[row]!;
      histogram[at + 2]! += 1;
    }
  }
  return histogram;
}

function bestSplit(
  histogram: Float64Array,
  columns: number,
  gradient: number,
  hessian: number,
  count: number,
  options: TreeOptions,
): Split | undefined {
  const { lambda, minRows } = options;
  const parent = gradient ** 2 / (hessian + lambda);
  let best: Split | undefined;
  for (let column = 0; column < columns; column++) {
    const base = column * maxBins * 3;
    for (const missingLeft of histogram[base + 2]! > 0 ? [true, false] : [true]) {
      let g = missingLeft ? histogram[base]! : 0;
      let h = missingLeft ? histogram[base + 1]! : 0;
      let n = missingLeft ? histogram[base + 2]! : 0;
      for (let code = 1; code < maxBins - 1; code++) {
        g += histogram[base + code * 3]!;
        h += histogram[base + code * 3 + 1]!;
        n += histogram[base + code * 3 + 2]!;
        if (n < minRows) continue;
        if (count - n < minRows) break;
        const gain = g ** 2 / (h + lambda) + (gradient - g) ** 2 / (hessian - h + lambda) - parent;
        if (gain > (best?.gain ?? minGain)) best = { gain, column, code, missingLeft };
      }
    }
  }
  return best;
}

function partition(rows: Uint32Array, codes: Uint8Array, split: Split): [Uint32Array, Uint32Array] {
  const left = new Uint32Array(rows.length);
  const right = new Uint32Array(rows.length);
  let l = 0;
  let r = 0;
  for (const row of rows) {
    const code = codes[row]!;
    if (code === 0 ? split.missingLeft : code <= split.code) left[l++] = row;
    else right[r++] = row;
  }
  return [left.slice(0, l), right.slice(0, r)];
}
