import { createModel, logisticClassifier, type ModelSpec, node, tensor, writeModel } from '../src/index.ts';

/** The least model there is: y = x + 1. */
export const plusOne: ModelSpec = {
  inputs: [{ name: 'x', type: 'float32', shape: ['rows', 2] }],
  outputs: [{ name: 'y', type: 'float32', shape: ['rows', 2] }],
  nodes: [node('Add', ['x', 'one'], ['y'])],
  initializers: [tensor('one', 'float32', [1], [1])],
};

/** The file of a spec, or of the least model with parts of it replaced. */
export function file(spec: Partial<ModelSpec> = {}): Uint8Array {
  return writeModel(createModel({ ...plusOne, ...spec }));
}

/** A logistic regression over three features. */
export function logisticFile(): Uint8Array {
  const part = logisticClassifier({
    input: 'x',
    output: 'probability',
    weights: [0.5, -1, 2],
    bias: 0.25,
    mean: [1, 2, 3],
    scale: [2, 4, 0],
  });
  return writeModel(
    createModel({
      ...part,
      inputs: [{ name: 'x', type: 'float32', shape: ['rows', 3] }],
      outputs: [{ name: 'probability', type: 'float32', shape: ['rows', 1] }],
      metadata: { trained_by: 'a test' },
    }),
  );
}
