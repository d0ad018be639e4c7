import { invalidField } from '@millrace/errors';
import type { GraphPart } from './model.ts';
import { attribute, node } from './node.ts';

/** A decision: rows whose feature is at most the threshold go `left`, others `right`. */
export interface TreeSplit {
  readonly feature: number;
  readonly threshold: number;
  readonly left: Tree;
  readonly right: Tree;
  /** Whether rows without a value (NaN) go left. @default false */
  readonly missingLeft?: boolean;
}

/** The end of a path: what it adds to the sum of the trees. */
export interface TreeLeaf {
  readonly value: number;
}

export type Tree = TreeSplit | TreeLeaf;

export interface TreeEnsembleSpec {
  /** The name of the input, FP32 [rows, features]. Thresholds are compared as FP32. */
  readonly input: string;
  /** The sum over trees starts here. @default 0 */
  readonly base?: number;
  readonly trees: readonly Tree[];
}

/** The sum of the trees' leaves, FP32 [rows, 1]; with `transform: 'logistic'` the sigmoid of it. */
export function treeEnsembleRegressor(
  spec: TreeEnsembleSpec & { readonly output: string; readonly transform?: 'none' | 'logistic' },
): GraphPart {
  const { structure, leaves } = flatten(spec.trees);
  const sum = spec.transform === 'logistic' ? `${spec.output}_margin` : spec.output;
  const trees = node(
    'TreeEnsembleRegressor',
    [spec.input],
    [sum],
    {
      ...structure,
      n_targets: attribute.int(1),
      aggregate_function: attribute.string('SUM'),
      post_transform: attribute.string('NONE'),
      base_values: attribute.floats([spec.base ?? 0]),
      target_treeids: attribute.ints(leaves.trees),
      target_nodeids: attribute.ints(leaves.nodes),
      target_ids: attribute.ints(leaves.trees.map(() => 0)),
      target_weights: attribute.floats(leaves.values),
    },
    { domain: 'ai.onnx.ml' },
  );
  const nodes = spec.transform === 'logistic' ? [trees, node('Sigmoid', [sum], [spec.output])] : [trees];
  return { nodes, initializers: [] };
}

/**
 * A classifier of two classes, 0 and 1: the sum of the leaves is the log-odds of class 1. Gives `label`, INT64 [rows],
 * and `probabilities`, FP32 [rows, 2].
 */
export function treeEnsembleClassifier(
  spec: TreeEnsembleSpec & { readonly label: string; readonly probabilities: string },
): GraphPart {
  const { structure, leaves } = flatten(spec.trees);
  const trees = node(
    'TreeEnsembleClassifier',
    [spec.input],
    [spec.label, spec.probabilities],
    {
      ...structure,
      classlabels_int64s: attribute.ints([0, 1]),
      post_transform: attribute.string('LOGISTIC'),
      base_values: attribute.floats([spec.base ?? 0]),
      class_treeids: attribute.ints(leaves.trees),
      class_nodeids: attribute.ints(leaves.nodes),
      class_ids: attribute.ints(leaves.trees.map(() => 0)),
      class_weights: attribute.floats(leaves.values),
    },
    { domain: 'ai.onnx.ml' },
  );
  return { nodes: [trees], initializers: [] };
}

function isLeaf(tree: Tree): tree is TreeLeaf {
  return 'value' in tree;
}

/** The parallel lists in which the ai.onnx.ml operators keep trees. */
function flatten(trees: readonly Tree[]) {
  if (trees.length === 0) throw invalidField('trees', 'there are none', 'at least one tree');
  const rows = {
    tree: [] as number[],
    id: [] as number[],
    feature: [] as number[],
    threshold: [] as number[],
  };
  const modes: string[] = [];
  const next = { left: [] as number[], right: [] as number[], missingLeft: [] as number[] };
  const leaves = { trees: [] as number[], nodes: [] as number[], values: [] as number[] };
  for (const [treeId, root] of trees.entries()) {
    const first = rows.id.length;
    const open: [Tree, number][] = [];
    const place = (tree: Tree): number => {
      const id = rows.id.length - first;
      const leaf = isLeaf(tree);
      rows.tree.push(treeId);
      rows.id.push(id);
      rows.feature.push(leaf ? 0 : tree.feature);
      rows.threshold.push(leaf ? 0 : floorToFloat32(tree.threshold));
      modes.push(leaf ? 'LEAF' : 'BRANCH_LEQ');
      next.left.push(0);
      next.right.push(0);
      next.missingLeft.push(!leaf && tree.missingLeft ? 1 : 0);
      open.push([tree, id]);
      return id;
    };
    place(root);
    for (let at = open.shift(); at; at = open.shift()) {
      const [tree, id] = at;
      if (isLeaf(tree)) {
        leaves.trees.push(treeId);
        leaves.nodes.push(id);
        leaves.values.push(tree.value);
      } else {
        next.left[first + id] = place(tree.left);
        next.right[first + id] = place(tree.right);
      }
    }
  }
  const structure = {
    nodes_treeids: attribute.ints(rows.tree),
    nodes_nodeids: attribute.ints(rows.id),
    nodes_featureids: attribute.ints(rows.feature),
    nodes_values: attribute.floats(rows.threshold),
    nodes_modes: attribute.strings(modes),
    nodes_truenodeids: attribute.ints(next.left),
    nodes_falsenodeids: attribute.ints(next.right),
    nodes_missing_value_tracks_true: attribute.ints(next.missingLeft),
    nodes_hitrates: attribute.floats(rows.id.map(() => 1)),
  };
  return { structure, leaves };
}

/**
 * The greatest FP32 number at most a threshold: for FP32 features, `x <= threshold` then decides the same way as it
 * did in double precision, where rounding to nearest could let a row pass that did not pass in training.
 */
function floorToFloat32(threshold: number): number {
  const nearest = Math.fround(threshold);
  if (nearest <= threshold || !Number.isFinite(nearest)) return nearest;
  const bits = new Int32Array(new Float32Array([nearest]).buffer);
  bits[0] = nearest > 0 ? bits[0]! - 1 : nearest === 0 ? -0x7fffffff : bits[0]! + 1;
  return new Float32Array(bits.buffer)[0]!;
}
