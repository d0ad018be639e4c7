import type { GraphProto, ValueInfoProto } from '@millrace/contracts/onnx';
import { rowOfOnnx } from './data-type.ts';
import { modelInputs } from './inspect.ts';
import type { ModelLimits } from './limits.ts';
import { quote, type Refusals } from './refusal.ts';
import { elementsOf } from './tensor-size.ts';

/** What an element of text takes at least: its length in the message, its length and place in memory. */
const text = { wire: 4, memory: 40 };
const maxRank = 16;

/** Checks what a caller sees of a model: number, names, types and shapes of its inputs and outputs. */
export function checkPorts(graph: GraphProto | undefined, limits: ModelLimits, refusals: Refusals): void {
  const outputs = graph?.output ?? [];
  if (outputs.length === 0) refusals.add('NO_GRAPH', 'its graph has no outputs');
  for (const [what, values] of [['input', modelInputs(graph)] as const, ['output', outputs] as const]) {
    if (values.length > limits.maxInputs)
      refusals.add('TOO_COMPLEX', `it has ${values.length} ${what}s; allowed are ${limits.maxInputs}`);
    const sizes = values
      .slice(0, limits.maxInputs)
      .flatMap((value) => checkPort(what, value, limits, refusals));
    if (sizes.length > 0) checkSizes(what, sizes, limits, refusals);
  }
}

/** What a tensor takes at least, in bytes: what varies counts as 1. */
interface LeastSize {
  readonly wire: number;
  readonly memory: number;
}

/** A request carries all inputs, and an answer what was asked for: one output at least. A run holds all of both. */
function checkSizes(
  what: 'input' | 'output',
  sizes: readonly LeastSize[],
  limits: ModelLimits,
  refusals: Refusals,
): void {
  const [isInput, all] = [what === 'input', sizes.map(({ wire }) => wire)];
  const wire = isInput ? sum(all) : Math.min(...all);
  if (wire > limits.maxMessageBytes)
    refusals.add(
      'TOO_LARGE',
      `${isInput ? 'its inputs take' : 'each of its outputs takes'} at least ${wire} bytes; allowed are ${limits.maxMessageBytes}, the most that serving carries`,
    );
  const memory = sum(sizes.map((size) => size.memory));
  const most = isInput ? limits.maxInputMemoryBytes : limits.maxOutputMemoryBytes;
  if (memory > most)
    refusals.add(
      'TOO_LARGE',
      `its ${what}s take at least ${memory} bytes of memory together; allowed are ${most}, the most that serving gives them`,
    );
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

/** Checks one input or output; answers its size, none when it is refused already. */
function checkPort(
  what: 'input' | 'output',
  value: ValueInfoProto,
  limits: ModelLimits,
  refusals: Refusals,
): LeastSize[] {
  const called = `${what} ${quote(value.name)}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names without control characters are the rule checked here
  if (value.name.length < 1 || value.name.length > 256 || /[\u0000-\u001f\u007f]/.test(value.name))
    refusals.add('BAD_NAME', `${called} must be named by 1 to 256 characters without control characters`);
  const type = value.type?.value;
  if (type?.case !== 'tensorType') {
    const advice =
      what === 'output' ? '; converters of scikit-learn models write tensors with zipmap=False' : '';
    refusals.add('UNSUPPORTED_TYPE', `${called} is not a tensor${advice}`);
    return [];
  }
  const { elemType, shape } = type.value;
  const row = rowOfOnnx(elemType);
  if (!row)
    refusals.add('UNSUPPORTED_TYPE', `${called} has an element type (${elemType}) that cannot be served`);
  const dims = (shape?.dim ?? []).flatMap((dim) => (dim.value.case === 'dimValue' ? [dim.value.value] : []));
  const elements = elementsOf(dims, limits.maxTensorElements);
  if ((shape?.dim.length ?? 0) > maxRank || elements === undefined) {
    refusals.add('BAD_SHAPE', `${called} has an impossible shape [${dims.slice(0, maxRank).join(', ')}]`);
    return [];
  }
  if (!row) return [];
  const { wire, memory } = row.bytes === 0 ? text : { wire: row.bytes, memory: row.bytes };
  return [{ wire: elements * wire, memory: elements * memory }];
}
