import {
  TensorProto_DataLocation as Location,
  type ModelProto,
  type NodeProto,
} from '@millrace/contracts/onnx';
import { tryReadModel } from './file.ts';
import { eachGraph, eachTensor } from './graph.ts';
import { describeModel, type ModelInspection, operatorName } from './inspect.ts';
import { defaultLimits, type ModelLimits } from './limits.ts';
import { checkPorts } from './ports.ts';
import { collectRefusals, quote, type Refusal, type Refusals } from './refusal.ts';
import { checkScopes } from './scopes.ts';
import { elementsOf, sizeProblem, tensorBytes } from './tensor-size.ts';

/** The IR versions that can be read: opset imports came with 3, and 14 is the newest that is published. */
const irVersions = { first: 3n, last: 14n };

/**
 * Operators that are refused although their domain is allowed, because they load code or files from outside the
 * model: compiled contexts of accelerators, Python and Triton kernels.
 */
const forbiddenOperators = new Set([
  'com.microsoft:EPContext',
  'com.microsoft:ATen',
  'com.microsoft:PythonOp',
  'com.microsoft:PythonOpGrad',
  'com.microsoft:Snpe',
  'com.microsoft:TritonOp',
  'com.microsoft:YieldOp',
]);

/** What came out of a file: reasons to refuse it (none: it is safe to load) and, once readable, what it says. */
export interface Examination {
  readonly refusals: readonly Refusal[];
  readonly inspection?: ModelInspection;
  /** What went wrong in an examination that did not come to its end: a bug of this package, for the log. */
  readonly fault?: unknown;
}

/** Reads a file that nobody vouches for, once: reasons to refuse it and what it says about itself. Never throws. */
export function examine(bytes: Uint8Array, limits: ModelLimits = defaultLimits): Examination {
  try {
    const read = tryReadModel(bytes, limits);
    if ('refusal' in read) return { refusals: [read.refusal] };
    return { refusals: refusalsOf(read.model, limits), inspection: describeModel(read.model) };
  } catch (fault) {
    // The same bytes would end the same way at every try, so the answer is final: what is not known to be safe is not.
    const message = 'it could not be checked to its end, so nobody knows whether it is safe';
    return { refusals: [{ code: 'UNCHECKED', message }], fault };
  }
}

/** Reasons to refuse a file; none means that it is safe to load. Never throws. */
export function checkSafety(bytes: Uint8Array, limits: ModelLimits = defaultLimits): readonly Refusal[] {
  return examine(bytes, limits).refusals;
}

function refusalsOf(model: ModelProto, limits: ModelLimits): readonly Refusal[] {
  const refusals = collectRefusals();
  checkVersions(model, refusals);
  if (model.functions.length > 0)
    refusals.add('LOCAL_FUNCTION', `it defines ${model.functions.length} functions of its own; inline them`);
  if (model.trainingInfo.length > 0)
    refusals.add('TRAINING_INFO', 'it carries training information; export it for inference');
  checkPorts(model.graph, limits, refusals);
  checkOperators(model, limits, refusals);
  checkTensors(model, limits, refusals);
  if (model.graph) checkScopes(model.graph, limits, refusals);
  return refusals.list;
}

/** Domains that are imported and not used do no harm; ONNX Runtime imports all it knows when it saves a model. */
function checkVersions(model: ModelProto, refusals: Refusals): void {
  const { first, last } = irVersions;
  if (model.irVersion < first || model.irVersion > last)
    refusals.add(
      'UNSUPPORTED_VERSION',
      `its IR version is ${model.irVersion}; allowed are ${first} to ${last}`,
    );
  if (model.opsetImport.length === 0) refusals.add('UNSUPPORTED_VERSION', 'it imports no operator set');
  for (const set of model.opsetImport) {
    if (set.version < 1n || set.version > 1000n)
      refusals.add(
        'UNSUPPORTED_VERSION',
        `it imports version ${set.version} of operator set ${quote(set.domain)}`,
      );
  }
}

function checkDomain({ opType, domain }: NodeProto, limits: ModelLimits, refusals: Refusals): void {
  if (limits.domains.includes(domain || 'ai.onnx')) return;
  const allowed = limits.domains.join(', ');
  const called = `operator ${quote(opType)} of the domain ${quote(domain)}`;
  refusals.add('CUSTOM_DOMAIN', `${called} is not allowed; allowed domains are ${allowed}`);
}

function checkOperators(model: ModelProto, limits: ModelLimits, refusals: Refusals): void {
  let nodes = 0;
  for (const graph of eachGraph(model)) {
    nodes += graph.node.length;
    for (const node of graph.node) {
      const name = operatorName(node.domain, node.opType);
      checkDomain(node, limits, refusals);
      if (forbiddenOperators.has(name))
        refusals.add('FORBIDDEN_OPERATOR', `operator ${name} loads code or files from outside the model`);
    }
  }
  if (nodes > limits.maxNodes)
    refusals.add('TOO_COMPLEX', `it has ${nodes} nodes; allowed are ${limits.maxNodes}`);
}

function checkTensors(model: ModelProto, limits: ModelLimits, refusals: Refusals): void {
  let bytes = 0;
  for (const graph of eachGraph(model))
    for (const tensor of eachTensor(graph)) {
      bytes += tensorBytes(tensor);
      const called = `tensor ${quote(tensor.name)}`;
      if (tensor.externalData.length > 0 || tensor.dataLocation === Location.EXTERNAL) {
        const where = tensor.externalData.find((entry) => entry.key === 'location')?.value ?? '';
        refusals.add(
          'EXTERNAL_DATA',
          `${called} has its values in another file (${quote(where)}); put them into this one`,
        );
        continue;
      }
      const elements = elementsOf(tensor.dims, limits.maxTensorElements);
      if (elements === undefined) {
        refusals.add(
          'BAD_SHAPE',
          `${called} has an impossible shape [${tensor.dims.slice(0, 16).join(', ')}]`,
        );
        continue;
      }
      const problem = sizeProblem(tensor, elements);
      if (problem) refusals.add('BAD_TENSOR', `${called} ${problem}`);
    }
  if (bytes > limits.maxInitializerBytes)
    refusals.add('TOO_LARGE', `its weights take ${bytes} bytes; allowed are ${limits.maxInitializerBytes}`);
}
