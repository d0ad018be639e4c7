import { createModel, linearRegressor, node, tensor, writeModel } from '@millrace/onnx';

/** `y[n, 1] = x[n, 4] · w + b`: next to nothing to compute, so what is left is the way there and back. */
export function tinyModel(bias = 0): Uint8Array {
  return writeModel(
    createModel({
      inputs: [{ name: 'x', type: 'float32', shape: ['n', 4] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', 1] }],
      ...linearRegressor({ input: 'x', output: 'y', weights: [1, 2, 3, 4], bias }),
    }),
  );
}

/** What a model of fully connected layers looks like. */
export interface Layers {
  /** Neurons of each layer, the inputs first. */
  readonly widths: readonly number[];
}

/** Fully connected layers with ReLU, weights small and fixed. 256-1024-1024-10 has 1.3 million of them. */
export function layeredModel({ widths }: Layers): Uint8Array {
  const nodes: ReturnType<typeof node>[] = [];
  const initializers: ReturnType<typeof tensor>[] = [];
  let from = 'x';
  for (const [layer, width] of widths.slice(1).entries()) {
    const inputs = widths[layer] ?? 0;
    const weights = Float32Array.from(
      { length: inputs * width },
      (_, i) => ((i * 7919) % 201) / 4000 - 0.025,
    );
    initializers.push(tensor(`w${layer}`, 'float32', [inputs, width], weights));
    initializers.push(tensor(`b${layer}`, 'float32', [width], new Float32Array(width)));
    const isLast = layer === widths.length - 2;
    nodes.push(node('Gemm', [from, `w${layer}`, `b${layer}`], [isLast ? 'y' : `h${layer}`]));
    if (!isLast) nodes.push(node('Relu', [`h${layer}`], [`a${layer}`]));
    from = `a${layer}`;
  }
  return writeModel(
    createModel({
      inputs: [{ name: 'x', type: 'float32', shape: ['n', widths[0] ?? 0] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', widths.at(-1) ?? 0] }],
      nodes,
      initializers,
    }),
  );
}

/** The medium model of the table. */
export const mediumWidths = [256, 1024, 1024, 10];

/** Gives back what it gets: the cost of moving tensors. */
export function identityModel(columns: number): Uint8Array {
  return writeModel(
    createModel({
      inputs: [{ name: 'x', type: 'float32', shape: ['n', columns] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', columns] }],
      nodes: [node('Identity', ['x'], ['y'])],
    }),
  );
}
