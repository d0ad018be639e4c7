import { create } from '@bufbuild/protobuf';
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
} from '@millrace/contracts/onnx';
import { type ValueSpec, value } from './tensor.ts';

/** Nodes with the weights they use: what the ready-made models are made of. */
export interface GraphPart {
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
}

export interface GraphSpec {
  /** @default 'graph' */
  readonly name?: string;
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  /** In the order of their use. */
  readonly nodes: readonly NodeProto[];
  /** @default [] */
  readonly initializers?: readonly TensorProto[];
}

export interface ModelSpec extends GraphSpec {
  /** Versions of operator sets by domain; the domains in use need one each. @default { 'ai.onnx': 17, 'ai.onnx.ml': 3 } */
  readonly opsets?: Readonly<Record<string, number>>;
  /** @default 8, which goes with opset 17 */
  readonly irVersion?: number;
  /** Names and texts that travel with the model. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** @default 'millrace' */
  readonly producer?: string;
}

/** A graph, for a model or for an attribute of `If`, `Loop` or `Scan`. */
export function createGraph(spec: GraphSpec): GraphProto {
  return create(GraphProtoSchema, {
    name: spec.name ?? 'graph',
    input: spec.inputs.map(value),
    output: spec.outputs.map(value),
    node: [...spec.nodes],
    initializer: [...(spec.initializers ?? [])],
  });
}

/** A model; `writeModel` turns it into a file. The same spec gives the same bytes. */
export function createModel(spec: ModelSpec): ModelProto {
  const opsets = spec.opsets ?? { 'ai.onnx': 17, 'ai.onnx.ml': 3 };
  return create(ModelProtoSchema, {
    irVersion: BigInt(spec.irVersion ?? 8),
    opsetImport: Object.entries(opsets).map(([domain, version]) => ({
      domain: domain === 'ai.onnx' ? '' : domain,
      version: BigInt(version),
    })),
    producerName: spec.producer ?? 'millrace',
    graph: createGraph(spec),
    metadataProps: Object.entries(spec.metadata ?? {}).map(([key, text]) => ({ key, value: text })),
  });
}
