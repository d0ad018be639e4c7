import { TensorProto_DataType as DataType, type TensorProto } from '@millrace/contracts/onnx';
import { rawBits } from './data-type.ts';

/** Bytes that a tensor's values take in the file. */
export function tensorBytes(tensor: TensorProto): number {
  let bytes = tensor.rawData.length;
  bytes += (tensor.floatData.length + tensor.int32Data.length) * 4;
  bytes += (tensor.int64Data.length + tensor.doubleData.length + tensor.uint64Data.length) * 8;
  for (const text of tensor.stringData) bytes += text.length;
  return bytes;
}

/** Elements of a shape; undefined when a dimension is negative or beyond `most`, or their product is. */
export function elementsOf(dims: readonly bigint[], most: number): number | undefined {
  let elements = 1n;
  for (const dim of dims) {
    if (dim < 0n || dim > BigInt(most)) return undefined;
    elements *= dim;
    if (elements > BigInt(most)) return undefined;
  }
  return Number(elements);
}

/** Why the values of a tensor do not fill its shape; undefined when they do, or when its type has no known layout. */
export function sizeProblem(tensor: TensorProto, elements: number): string | undefined {
  if (tensor.rawData.length > 0) {
    const width = rawBits(tensor.dataType);
    if (tensor.dataType === DataType.STRING) return 'has text as raw data';
    if (width === undefined) return undefined;
    const expected = Math.ceil((elements * width) / 8);
    return tensor.rawData.length === expected
      ? undefined
      : `has ${tensor.rawData.length} bytes of raw data where its shape asks for ${expected}`;
  }
  const [values, perElement] = listOf(tensor);
  if (values === undefined) return undefined;
  const expected = elements * perElement;
  return values === expected ? undefined : `has ${values} values where its shape asks for ${expected}`;
}

/** How many values the list of a tensor's type holds, and how many an element takes. */
function listOf(tensor: TensorProto): readonly [number | undefined, number] {
  switch (tensor.dataType) {
    case DataType.FLOAT:
      return [tensor.floatData.length, 1];
    case DataType.COMPLEX64:
      return [tensor.floatData.length, 2];
    case DataType.DOUBLE:
      return [tensor.doubleData.length, 1];
    case DataType.COMPLEX128:
      return [tensor.doubleData.length, 2];
    case DataType.INT64:
      return [tensor.int64Data.length, 1];
    case DataType.UINT32:
    case DataType.UINT64:
      return [tensor.uint64Data.length, 1];
    case DataType.STRING:
      return [tensor.stringData.length, 1];
    default:
      return (rawBits(tensor.dataType) ?? 0) >= 8 ? [tensor.int32Data.length, 1] : [undefined, 1];
  }
}
