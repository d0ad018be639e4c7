import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  attribute,
  checkSafety,
  createGraph,
  createModel,
  linearRegressor,
  node,
  type Tree,
  tensor,
  treeEnsembleClassifier,
  treeEnsembleRegressor,
  writeModel,
} from '../src/index.ts';
import { file, logisticFile } from './models.ts';

const sigmoid = (margin: number) => 1 / (1 + Math.exp(-margin));

async function run(bytes: Uint8Array, feeds: Record<string, Tensor>) {
  expect(checkSafety(bytes)).toEqual([]);
  const session = await InferenceSession.create(bytes);
  const outputs = await session.run(feeds);
  await session.release();
  return (name: string): number[] => Array.from(outputs[name]!.data as Float32Array, Number);
}

const rows = (values: number[], features: number) =>
  new Tensor('float32', Float32Array.from(values), [values.length / features, features]);

describe('models written here run in ONNX Runtime', () => {
  it('adds', async () => {
    const output = await run(file(), { x: rows([1, 2, 3, 4], 2) });
    expect(output('y')).toEqual([2, 3, 4, 5]);
  });

  it('scores a logistic regression with its scaler, constant features included', async () => {
    const output = await run(logisticFile(), { x: rows([1, 2, 3, 5, -2, 4], 3) });
    const expected = [sigmoid(0.25), sigmoid(0.5 * 2 + 1 + 2 + 0.25)];
    for (const [i, p] of expected.entries()) expect(output('probability')[i]).toBeCloseTo(p, 5);
  });

  it('scores a linear regression without a scaler', async () => {
    const part = linearRegressor({ input: 'x', output: 'y', weights: [2, 3], bias: 1 });
    const bytes = writeModel(
      createModel({
        ...part,
        inputs: [{ name: 'x', type: 'float32', shape: ['rows', 2] }],
        outputs: [{ name: 'y', type: 'float32', shape: ['rows', 1] }],
      }),
    );
    expect((await run(bytes, { x: rows([1, 1, 0, 2], 2) }))('y')).toEqual([6, 7]);
  });

  it('runs an If with two branches that read values of the graph around them', async () => {
    const branch = (name: string, by: string) =>
      createGraph({
        name,
        inputs: [],
        outputs: [{ name: `${name}_y`, type: 'float32', shape: ['rows', 2] }],
        nodes: [node('Mul', ['x', by], [`${name}_y`])],
      });
    const bytes = file({
      inputs: [
        { name: 'x', type: 'float32', shape: ['rows', 2] },
        { name: 'double', type: 'bool', shape: [] },
      ],
      nodes: [
        node('If', ['double'], ['y'], {
          then_branch: attribute.graph(branch('then', 'two')),
          else_branch: attribute.graph(branch('else', 'three')),
        }),
      ],
      initializers: [tensor('two', 'float32', [1], [2]), tensor('three', 'float32', [1], [3])],
    });
    const x = rows([1, 2], 2);
    expect((await run(bytes, { x, double: new Tensor('bool', [true], []) }))('y')).toEqual([2, 4]);
    expect((await run(bytes, { x, double: new Tensor('bool', [false], []) }))('y')).toEqual([3, 6]);
  });
});

const trees: Tree[] = [
  {
    feature: 0,
    threshold: 0.1,
    left: { value: -0.5 },
    right: { feature: 1, threshold: 2, missingLeft: true, left: { value: 0.25 }, right: { value: 1.5 } },
  },
  { feature: 1, threshold: -1, left: { value: 0.75 }, right: { value: -0.125 } },
  { value: 0.0625 },
];

function evaluate(tree: Tree, row: readonly number[]): number {
  if ('value' in tree) return tree.value;
  const x = row[tree.feature]!;
  const left = Number.isNaN(x) ? (tree.missingLeft ?? false) : x <= tree.threshold;
  return evaluate(left ? tree.left : tree.right, row);
}

/** 0.1 in FP32 is above 0.1, so a row of it must go right. */
const samples = [
  [0, 0],
  [Math.fround(0.1), 3],
  [1, 2],
  [1, Number.NaN],
  [Number.NaN, -5],
  [7, -1],
];
const x = () => rows(samples.flat(), 2);
const margins = samples.map((row) => 0.3 + trees.reduce((sum, tree) => sum + evaluate(tree, row), 0));

describe('tree ensembles score as their trees do', () => {
  const inputs = [{ name: 'x', type: 'float32', shape: ['rows', 2] }] as const;

  it.each(['none', 'logistic'] as const)('as a regressor with transform %s', async (transform) => {
    const part = treeEnsembleRegressor({ input: 'x', output: 'y', base: 0.3, trees, transform });
    const outputs = [{ name: 'y', type: 'float32', shape: ['rows', 1] }] as const;
    const output = await run(writeModel(createModel({ ...part, inputs, outputs })), { x: x() });
    for (const [i, margin] of margins.entries())
      expect(output('y')[i]).toBeCloseTo(transform === 'none' ? margin : sigmoid(margin), 5);
  });

  it('as a classifier of two classes', async () => {
    const part = treeEnsembleClassifier({ input: 'x', label: 'label', probabilities: 'p', base: 0.3, trees });
    const outputs = [
      { name: 'label', type: 'int64', shape: ['rows'] },
      { name: 'p', type: 'float32', shape: ['rows', 2] },
    ] as const;
    const output = await run(writeModel(createModel({ ...part, inputs, outputs })), { x: x() });
    for (const [i, margin] of margins.entries()) {
      expect(output('p')[2 * i + 1]).toBeCloseTo(sigmoid(margin), 5);
      expect(output('p')[2 * i]).toBeCloseTo(1 - sigmoid(margin), 5);
      expect(output('label')[i]).toBe(margin > 0 ? 1 : 0);
    }
  });
});
