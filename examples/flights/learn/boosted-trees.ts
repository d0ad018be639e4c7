import { bin } from './bins.ts';
import { type Dataset, sigmoid } from './dataset.ts';
import { growTree, type Node } from './tree.ts';

export interface BoostingOptions {
  readonly trees: number;
  readonly learningRate: number;
  readonly maxLeaves: number;
  readonly minRows: number;
  readonly lambda: number;
  /** Called after each tree. */
  readonly onTree?: (done: number) => void;
}

export interface BoostedTrees {
  /** The log odds before any tree. */
  readonly base: number;
  readonly trees: readonly Node[];
}

/** Gradient boosting of the logistic loss by Newton steps. Source: Friedman 2001, Chen and Guestrin 2016. */
export function boostTrees(data: Dataset, options: BoostingOptions): BoostedTrees {
  const { labels, rowCount } = data;
  const binned = bin(data);
  const rows = Uint32Array.from({ length: rowCount }, (_, i) => i);
  const positives = labels.reduce((sum, y) => sum + y, 0);
  const base = Math.log((positives + 1) / (rowCount - positives + 1));
  const margins = new Float64Array(rowCount).fill(base);
  const gradients = new Float64Array(rowCount);
  const hessians = new Float64Array(rowCount);
  const trees: Node[] = [];
  for (let t = 0; t < options.trees; t++) {
    for (let i = 0; i < rowCount; i++) {
      const p = sigmoid(margins[i]!);
      gradients[i] = p - labels[i]!;
      hessians[i] = Math.max(p * (1 - p), 1e-9);
    }
    const tree = shrink(growTree(binned, gradients, hessians, rows, options), options.learningRate);
    trees.push(tree);
    addTree(tree, data, margins);
    options.onTree?.(t + 1);
  }
  return { base, trees };
}

/** The probability of the positive class for each row. */
export function predictTrees(model: BoostedTrees, data: Dataset): Float64Array {
  const margins = new Float64Array(data.rowCount).fill(model.base);
  for (const tree of model.trees) addTree(tree, data, margins);
  return margins.map(sigmoid);
}

function addTree(tree: Node, data: Dataset, margins: Float64Array): void {
  for (let i = 0; i < margins.length; i++) {
    let node = tree;
    while ('column' in node) {
      // Models are served in single precision: decide as they will decide.
      const value = Math.fround(data.columns[node.column]![i]!);
      const left = Number.isNaN(value) ? node.missingLeft : value <= node.threshold;
      node = left ? node.left : node.right;
    }
    margins[i]! += node.value;
  }
}

function shrink(node: Node, rate: number): Node {
  if (!('column' in node)) return { value: node.value * rate };
  const { column, missingLeft } = node;
  // The threshold must be the single-precision number that ONNX stores.
  const threshold = Math.fround(node.threshold);
  return { column, threshold, missingLeft, left: shrink(node.left, rate), right: shrink(node.right, rate) };
}
