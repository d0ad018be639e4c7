/** Writes small ONNX files field by field, so that these tests depend on no writer under test. Source: onnx.proto3. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** ONNX element type numbers. */
export const elementTypes = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
} as const;
type ElementType = keyof typeof elementTypes;

interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
}
interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Written as INT, or as GRAPH when bytes. */
  readonly attributes?: Readonly<Record<string, number | Uint8Array>>;
}
interface Weight {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}
interface GraphSpec {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly nodes: readonly NodeSpec[];
  readonly weights?: readonly Weight[];
}

const message = (writer: BinaryWriter, field: number, bytes: Uint8Array) =>
  writer.tag(field, WireType.LengthDelimited).bytes(bytes);
const text = (writer: BinaryWriter, field: number, value: string) =>
  writer.tag(field, WireType.LengthDelimited).string(value);
const number = (writer: BinaryWriter, field: number, value: number) =>
  writer.tag(field, WireType.Varint).int64(value);

function port({ name, type, shape }: Port): Uint8Array {
  const dims = new BinaryWriter();
  for (const dim of shape) {
    const one = new BinaryWriter();
    if (typeof dim === 'number') number(one, 1, dim);
    else text(one, 2, dim);
    message(dims, 1, one.finish());
  }
  const tensor = number(new BinaryWriter(), 1, elementTypes[type]);
  message(tensor, 2, dims.finish());
  const valueType = message(new BinaryWriter(), 1, tensor.finish()).finish();
  return message(text(new BinaryWriter(), 1, name), 2, valueType).finish();
}

function node({ op, inputs, outputs, attributes }: NodeSpec): Uint8Array {
  const writer = new BinaryWriter();
  for (const input of inputs) text(writer, 1, input);
  for (const output of outputs) text(writer, 2, output);
  text(writer, 4, op);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    const attribute = text(new BinaryWriter(), 1, name);
    if (typeof value === 'number') number(number(attribute, 3, value), 20, 2);
    else number(message(attribute, 6, value), 20, 5);
    message(writer, 5, attribute.finish());
  }
  return writer.finish();
}

function weight({ name, type, shape, bytes }: Weight): Uint8Array {
  const writer = new BinaryWriter();
  for (const dim of shape) number(writer, 1, dim);
  number(writer, 2, elementTypes[type]);
  text(writer, 8, name);
  return message(writer, 9, bytes).finish();
}

/** A GraphProto. */
export function encodeGraph({ inputs, outputs, nodes, weights = [] }: GraphSpec): Uint8Array {
  const writer = new BinaryWriter();
  for (const one of nodes) message(writer, 1, node(one));
  text(writer, 2, 'graph');
  for (const one of weights) message(writer, 5, weight(one));
  for (const one of inputs) message(writer, 11, port(one));
  for (const one of outputs) message(writer, 12, port(one));
  return writer.finish();
}

/** A ModelProto of IR version 8 and opset 17. */
export function encodeModel(graph: GraphSpec): Uint8Array {
  const opset = number(text(new BinaryWriter(), 1, ''), 2, 17).finish();
  const writer = number(new BinaryWriter(), 1, 8);
  message(writer, 7, encodeGraph(graph));
  return message(writer, 8, opset).finish();
}

const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

/** `y[n, 1] = x[n, k] · weights + bias`, with the input `x` and the output `y`. */
export function linearModel(weights: readonly number[], bias: number): Uint8Array {
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['n', weights.length] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n', 1] }],
    nodes: [{ op: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'] }],
    weights: [
      { name: 'w', type: 'FP32', shape: [weights.length, 1], bytes: floats(weights) },
      { name: 'b', type: 'FP32', shape: [1], bytes: floats([bias]) },
    ],
  });
}

/** Gives back its one input, of any type. */
export function identityModel(type: ElementType, shape: readonly (number | string)[]): Uint8Array {
  return encodeModel({
    inputs: [{ name: 'x', type, shape }],
    outputs: [{ name: 'y', type, shape }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  });
}

/** Runs through `x[0, 0]` rounds of an empty loop, then gives back `x`: slow for as long as the caller likes. */
export function loopModel(): Uint8Array {
  const body = encodeGraph({
    inputs: [
      { name: 'i', type: 'INT64', shape: [] },
      { name: 'go', type: 'BOOL', shape: [] },
      { name: 'state', type: 'FP32', shape: ['n', 1] },
    ],
    outputs: [
      { name: 'go_on', type: 'BOOL', shape: [] },
      { name: 'state_out', type: 'FP32', shape: ['n', 1] },
    ],
    nodes: [
      { op: 'Identity', inputs: ['go'], outputs: ['go_on'] },
      { op: 'Identity', inputs: ['state'], outputs: ['state_out'] },
    ],
  });
  const int64s = (value: number) => new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
  return encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: ['n', 1] }],
    outputs: [{ name: 'y', type: 'FP32', shape: ['n', 1] }],
    nodes: [
      { op: 'ReduceMax', inputs: ['x'], outputs: ['most'], attributes: { keepdims: 0 } },
      { op: 'Cast', inputs: ['most'], outputs: ['rounds'], attributes: { to: elementTypes.INT64 } },
      { op: 'Loop', inputs: ['rounds', 'yes', 'x'], outputs: ['y'], attributes: { body } },
    ],
    weights: [
      { name: 'yes', type: 'BOOL', shape: [], bytes: Uint8Array.of(1) },
      { name: 'unused', type: 'INT64', shape: [], bytes: int64s(0) },
    ],
  });
}
