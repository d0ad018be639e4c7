import { invalidField } from '@millrace/errors';
import type { ElementName } from './element-type.ts';
import { show } from './request.ts';
import type { Tensor } from './tensor.ts';

/** An input or output of a model. A dimension that varies is -1, or the name that ties it to others of that name. */
export interface Port {
  readonly name: string;
  readonly type: ElementName;
  readonly shape: readonly (number | string)[];
}

/** What a model takes and gives. */
export interface Signature {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** A request that a model can run: its tensors in the order of the model's inputs. */
export interface Feeds {
  readonly tensors: readonly Tensor[];
  /** How many rows it holds; 1 when the model does not count rows. */
  readonly rows: number;
  /** Requests of the same key can be one run: their shapes agree behind the first dimension. */
  readonly mergeKey: string;
}

const varies = (dim: number | string | undefined) => typeof dim === 'string' || dim === -1;

/**
 * Whether the first dimension of every input and output counts rows: all vary, and those that carry a name carry the
 * same. Only then can requests be put together and answers taken apart.
 */
export function countsRows(signature: Signature): boolean {
  const ports = [...signature.inputs, ...signature.outputs];
  if (signature.inputs.length === 0 || !ports.every((port) => varies(port.shape[0]))) return false;
  const inputNames = new Set(signature.inputs.map((port) => port.shape[0]).filter(isNamed));
  return inputNames.size <= 1;
}

function isNamed(dim: number | string | undefined): dim is string {
  return typeof dim === 'string' && dim !== '';
}

/** Checks the inputs of a request against what the model wants. */
export function matchSignature(inputs: ReadonlyMap<string, Tensor>, signature: Signature): Feeds {
  const wanted = new Set(signature.inputs.map((port) => port.name));
  for (const name of inputs.keys())
    if (!wanted.has(name))
      throw invalidField('inputs', `the model has no input ${show(name)}`, [...wanted].join(', '));
  const symbols = new Map<string, number>();
  const tensors = signature.inputs.map((port) => {
    const tensor = inputs.get(port.name);
    if (!tensor)
      throw invalidField('inputs', `the input ${show(port.name)} is missing`, [...wanted].join(', '));
    if (tensor.type !== port.type) throw invalidField(`inputs.${port.name}.datatype`, tensor.type, port.type);
    matchShape(tensor, port, symbols);
    return tensor;
  });
  const batched = countsRows(signature);
  const rows = batched ? (tensors[0]?.shape[0] ?? 1) : 1;
  if (batched && tensors.some((tensor) => tensor.shape[0] !== rows))
    throw invalidField('inputs', 'their first dimensions differ', 'the same number of rows in every input');
  const mergeKey = batched ? tensors.map((tensor) => tensor.shape.slice(1).join('x')).join('|') : '';
  return { tensors, rows, mergeKey };
}

function matchShape(tensor: Tensor, port: Port, symbols: Map<string, number>): void {
  const field = `inputs.${port.name}.shape`;
  const allowed = `[${port.shape.map((dim) => (isNamed(dim) ? dim : varies(dim) ? -1 : dim)).join(', ')}]`;
  const got = `[${tensor.shape.join(', ')}]`;
  if (tensor.shape.length !== port.shape.length) throw invalidField(field, got, allowed);
  for (const [i, dim] of port.shape.entries()) {
    const actual = tensor.shape[i] ?? 0;
    if (!varies(dim) && dim !== actual) throw invalidField(field, got, allowed);
    if (!isNamed(dim)) continue;
    const before = symbols.get(dim);
    if (before !== undefined && before !== actual)
      throw invalidField(field, `${got}: ${dim} is ${before} in another input`, allowed);
    symbols.set(dim, actual);
  }
}

/** The outputs a request asks for, in its order; none asked for means all. */
export function chooseOutputs(
  asked: readonly { readonly name: string }[],
  signature: Signature,
): readonly Port[] {
  if (asked.length === 0) return signature.outputs;
  const seen = new Set<string>();
  return asked.map(({ name }, i) => {
    const port = signature.outputs.find((output) => output.name === name);
    const known = signature.outputs.map((output) => output.name).join(', ');
    if (!port) throw invalidField(`outputs[${i}].name`, `the model has no output ${show(name)}`, known);
    if (seen.has(name))
      throw invalidField(`outputs[${i}].name`, `${show(name)} is there twice`, 'each output once');
    seen.add(name);
    return port;
  });
}
