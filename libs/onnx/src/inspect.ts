import type { TensorType } from '@millrace/contracts/common';
import type { GraphProto, ModelProto, TypeProto, ValueInfoProto } from '@millrace/contracts/onnx';
import { rowOfOnnx } from './data-type.ts';
import { readModel } from './file.ts';
import { eachGraph } from './graph.ts';
import { defaultLimits, type ModelLimits } from './limits.ts';
import { tensorBytes } from './tensor-size.ts';

/** An input or output of a model. */
export interface TensorInfo {
  readonly name: string;
  readonly type: TensorType;
  /** Outermost dimension first; -1 for one that varies. A shape the file does not give is [-1]. */
  readonly shape: readonly number[];
}

/** What an ONNX file says about itself. */
export interface ModelInspection {
  readonly irVersion: number;
  /** The operator sets it imports; the empty domain is written `ai.onnx`. */
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  /** The tool that wrote it and that tool's version. */
  readonly producer: string;
  /** The inputs a caller gives: those of the graph without its weights. */
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Operators in use, ordered: `Gemm`, `ai.onnx.ml:TreeEnsembleClassifier`. */
  readonly operators: readonly string[];
  /** Nodes of the graph and its sub-graphs. */
  readonly nodeCount: number;
  /** Bytes of all weights. */
  readonly initializerBytes: number;
  readonly metadata: readonly { readonly key: string; readonly value: string }[];
}

/** Reads what a file says about itself. INVALID_FIELD when it is no ONNX model; call checkSafety before serving it. */
export function inspect(bytes: Uint8Array, limits: ModelLimits = defaultLimits): ModelInspection {
  return describeModel(readModel(bytes, limits));
}

/** The same of a model that was read already. Values that are no tensors are left out. */
export function describeModel(model: ModelProto): ModelInspection {
  const operators = new Set<string>();
  let nodeCount = 0;
  let initializerBytes = 0;
  for (const graph of eachGraph(model)) {
    nodeCount += graph.node.length;
    for (const node of graph.node) operators.add(operatorName(node.domain, node.opType));
    for (const tensor of graph.initializer) initializerBytes += tensorBytes(tensor);
  }
  return {
    irVersion: Number(model.irVersion),
    opsets: model.opsetImport.map((set) => ({
      domain: set.domain || 'ai.onnx',
      version: Number(set.version),
    })),
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(' '),
    inputs: modelInputs(model.graph).flatMap(tensorInfo),
    outputs: (model.graph?.output ?? []).flatMap(tensorInfo),
    operators: [...operators].sort(),
    nodeCount,
    initializerBytes,
    metadata: model.metadataProps.map(({ key, value }) => ({ key, value })),
  };
}

/** The inputs a caller gives. Files of old IR versions list weights among the graph's inputs too. */
export function modelInputs(graph: GraphProto | undefined): readonly ValueInfoProto[] {
  const weights = new Set(graph?.initializer.map((tensor) => tensor.name));
  for (const sparse of graph?.sparseInitializer ?? []) weights.add(sparse.values?.name ?? '');
  return (graph?.input ?? []).filter((input) => !weights.has(input.name));
}

/** `Name` for operators of ai.onnx, `domain:Name` for others. */
export function operatorName(domain: string, opType: string): string {
  return domain === '' || domain === 'ai.onnx' ? opType : `${domain}:${opType}`;
}

function tensorInfo(value: ValueInfoProto): TensorInfo[] {
  if (value.type?.value.case !== 'tensorType') return [];
  const row = rowOfOnnx(value.type.value.value.elemType);
  return row ? [{ name: value.name, type: row.wire, shape: shapeOf(value.type) }] : [];
}

/** The shape of a tensor type; -1 for what varies or is not given. */
function shapeOf(type: TypeProto): number[] {
  const shape = type.value.case === 'tensorType' ? type.value.value.shape : undefined;
  if (shape === undefined) return [-1];
  return shape.dim.map((dim) => (dim.value.case === 'dimValue' ? Number(dim.value.value) : -1));
}
