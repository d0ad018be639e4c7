import type { GraphProto, ValueInfoProto } from '@millrace/contracts/onnx';
import { rowOfOnnx } from './data-type.ts';
import { modelInputs } from './inspect.ts';
import type { ModelLimits } from './limits.ts';
import { quote, type Refusals } from './refusal.ts';
import { elementsOf } from './tensor-size.ts';

/** What an element of text takes at least, with its length in the message and its place in memory. */
const textBytes = 32;
const maxRank = 16;

/** Checks what a caller sees of a model: number, names, types and shapes of its inputs and outputs. */
export function checkPorts(graph: GraphProto | undefined, limits: ModelLimits, refusals: Refusals): void {
  const outputs = graph?.output ?? [];
  if (outputs.length === 0) refusals.add('NO_GRAPH', 'its graph has no outputs');
  for (const [what, values] of [['input', modelInputs(graph)] as const, ['output', outputs] as const]) {
    if (values.length > limits.maxInputs)
      refusals.add('TOO_COMPLEX', `it has ${values.length} ${what}s; allowed are ${limits.maxInputs}`);
    let bytes = 0;
    for (const value of values.slice(0, limits.maxInputs)) bytes += checkPort(what, value, limits, refusals);
    if (bytes > limits.maxMessageBytes)
      refusals.add(
        'TOO_LARGE',
        `its ${what}s take at least ${bytes} bytes; allowed are ${limits.maxMessageBytes}, the most that serving carries`,
      );
  }
}

/** Checks one input or output; answers how many bytes it takes at least, 0 when it is refused already. */
function checkPort(
  what: 'input' | 'output',
  value: ValueInfoProto,
  limits: ModelLimits,
  refusals: Refusals,
): number {
  const called = `${what} ${quote(value.name)}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names without control characters are the rule checked here
  if (value.name.length < 1 || value.name.length > 256 || /[\u0000-\u001f\u007f]/.test(value.name))
    refusals.add('BAD_NAME', `${called} must be named by 1 to 256 characters without control characters`);
  const type = value.type?.value;
  if (type?.case !== 'tensorType') {
    const advice =
      what === 'output' ? '; converters of scikit-learn models write tensors with zipmap=False' : '';
    refusals.add('UNSUPPORTED_TYPE', `${called} is not a tensor${advice}`);
    return 0;
  }
  const { elemType, shape } = type.value;
  const row = rowOfOnnx(elemType);
  if (!row)
    refusals.add('UNSUPPORTED_TYPE', `${called} has an element type (${elemType}) that cannot be served`);
  const dims = (shape?.dim ?? []).flatMap((dim) => (dim.value.case === 'dimValue' ? [dim.value.value] : []));
  const elements = elementsOf(dims, limits.maxTensorElements);
  if ((shape?.dim.length ?? 0) > maxRank || elements === undefined) {
    refusals.add('BAD_SHAPE', `${called} has an impossible shape [${dims.slice(0, maxRank).join(', ')}]`);
    return 0;
  }
  return elements * (row?.bytes || textBytes);
}
