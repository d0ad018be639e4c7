import {
  createModel,
  logisticClassifier,
  node,
  type Tree,
  tensor,
  treeEnsembleRegressor,
  writeModel,
} from '@millrace/onnx';
import type { BoostedTrees } from './boosted-trees.ts';
import type { Logistic } from './logistic.ts';
import type { Node } from './tree.ts';

/** Models as ONNX files: input `features`, FP32 [rows, columns]; output `probability`, FP32 [rows, 1]. */

const input = 'features';
const output = 'probability';

/** What travels with a model: the names of its columns in order, and how it was made. */
type Metadata = Readonly<Record<string, string>>;

export function treesToOnnx(model: BoostedTrees, columns: number, metadata: Metadata): Uint8Array {
  const trees = model.trees.map(toTree);
  return write(
    treeEnsembleRegressor({ input, output, base: model.base, trees, transform: 'logistic' }),
    columns,
    metadata,
  );
}

export function logisticToOnnx(model: Logistic, metadata: Metadata): Uint8Array {
  // A missing value counts as the column's mean, as it did when the model was fitted.
  const filled = 'features_filled';
  const part = logisticClassifier({
    input: filled,
    output,
    weights: model.weights,
    bias: model.intercept,
    mean: model.means,
    scale: model.deviations,
  });
  const fill = [node('IsNaN', [input], ['missing']), node('Where', ['missing', 'fill', input], [filled])];
  const means = tensor('fill', 'float32', [model.means.length], model.means);
  const whole = { nodes: [...fill, ...part.nodes], initializers: [means, ...part.initializers] };
  return write(whole, model.weights.length, metadata);
}

function write(
  part: Pick<Parameters<typeof createModel>[0], 'nodes' | 'initializers'>,
  columns: number,
  metadata: Metadata,
): Uint8Array {
  return writeModel(
    createModel({
      ...part,
      inputs: [{ name: input, type: 'float32', shape: ['rows', columns] }],
      outputs: [{ name: output, type: 'float32', shape: ['rows', 1] }],
      metadata,
    }),
  );
}

function toTree(tree: Node): Tree {
  if (!('column' in tree)) return { value: tree.value };
  const { column, threshold, missingLeft, left, right } = tree;
  return { feature: column, threshold, missingLeft, left: toTree(left), right: toTree(right) };
}
