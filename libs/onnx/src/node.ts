import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
} from '@millrace/contracts/onnx';

/** An attribute that has its value and not yet its name. */
export type AttributeValue = (name: string) => AttributeProto;

const encoder = new TextEncoder();

/** Makes attribute values; ONNX tells integers from numbers, so the caller says which. */
export const attribute = {
  float: (f: number): AttributeValue => named({ type: AttributeType.FLOAT, f }),
  int: (i: number | bigint): AttributeValue => named({ type: AttributeType.INT, i: BigInt(i) }),
  string: (s: string): AttributeValue => named({ type: AttributeType.STRING, s: encoder.encode(s) }),
  tensor: (t: TensorProto): AttributeValue => named({ type: AttributeType.TENSOR, t }),
  graph: (g: GraphProto): AttributeValue => named({ type: AttributeType.GRAPH, g }),
  floats: (floats: Iterable<number>): AttributeValue =>
    named({ type: AttributeType.FLOATS, floats: Array.from(floats) }),
  ints: (ints: Iterable<number | bigint>): AttributeValue =>
    named({ type: AttributeType.INTS, ints: Array.from(ints, (i) => BigInt(i)) }),
  strings: (strings: Iterable<string>): AttributeValue =>
    named({ type: AttributeType.STRINGS, strings: Array.from(strings, (s) => encoder.encode(s)) }),
} as const;

function named(
  init: Omit<Parameters<typeof create<typeof AttributeProtoSchema>>[1] & object, '$typeName'>,
): AttributeValue {
  return (name) => create(AttributeProtoSchema, { ...init, name });
}

export interface NodeOptions {
  /** The operator's domain. @default '' (ai.onnx) */
  readonly domain?: string;
  readonly name?: string;
}

/** One operation: `node('Gemm', ['x', 'w', 'b'], ['y'], { transB: attribute.int(1) })`. */
export function node(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  options: NodeOptions = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    input: [...input],
    output: [...output],
    attribute: Object.entries(attributes).map(([name, make]) => make(name)),
    ...(options.domain ? { domain: options.domain } : {}),
    ...(options.name ? { name: options.name } : {}),
  });
}
