import { invalidField } from '@millrace/errors';
import type { GraphPart } from './model.ts';
import { node } from './node.ts';
import { tensor } from './tensor.ts';

/** A linear model over standardized features: `((x - mean) / scale) · weights + bias`. */
export interface LinearSpec {
  /** The name of the input, FP32 [rows, features]. */
  readonly input: string;
  /** The name of the output, FP32 [rows, 1]. */
  readonly output: string;
  /** One weight for each feature. */
  readonly weights: ArrayLike<number>;
  readonly bias: number;
  /** Subtracted from each feature. @default none */
  readonly mean?: ArrayLike<number>;
  /** Divides each feature; zero counts as one, so that a constant feature does no harm. @default none */
  readonly scale?: ArrayLike<number>;
}

/** A linear regression in plain operators. */
export function linearRegressor(spec: LinearSpec): GraphPart {
  return linear(spec, spec.output);
}

/** A logistic regression in plain operators; the output is the probability of the positive class. */
export function logisticClassifier(spec: LinearSpec): GraphPart {
  const margin = `${spec.output}_margin`;
  const part = linear(spec, margin);
  return { ...part, nodes: [...part.nodes, node('Sigmoid', [margin], [spec.output])] };
}

function linear(spec: LinearSpec, output: string): GraphPart {
  const features = spec.weights.length;
  const name = (what: string) => `${spec.output}_${what}`;
  const initializers = [
    tensor(name('weights'), 'float32', [features, 1], spec.weights),
    tensor(name('bias'), 'float32', [1], [spec.bias]),
  ];
  const nodes = [];
  let at = spec.input;
  for (const [what, operator, values] of [
    ['mean', 'Sub', spec.mean],
    ['scale', 'Div', spec.scale && Array.from(spec.scale, (divisor) => divisor || 1)],
  ] as const) {
    if (!values) continue;
    if (values.length !== features)
      throw invalidField(what, `${values.length} numbers for ${features} features`, 'one for each feature');
    const next = name(operator === 'Sub' ? 'centred' : 'scaled');
    initializers.push(tensor(name(what), 'float32', [features], values));
    nodes.push(node(operator, [at, name(what)], [next]));
    at = next;
  }
  nodes.push(node('Gemm', [at, name('weights'), name('bias')], [output]));
  return { nodes, initializers };
}
