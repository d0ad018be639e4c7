import { invalidField } from '@millrace/errors';
import { type ElementName, elementTypes } from './element-type.ts';

/** A tensor: BYTES hold texts, every other type holds its elements row-major, little-endian, without padding. */
export interface Tensor {
  readonly name: string;
  readonly type: ElementName;
  readonly shape: readonly number[];
  readonly data: Uint8Array | readonly string[];
}

/** The greatest dimension, and the greatest number of elements: what a 32-bit index can count. */
const maxElements = 2 ** 31 - 1;
const maxRank = 16;

/** The shape as numbers, with the number of its elements. Refuses negative and overflowing ones before anything is allocated. */
export function parseShape(
  dims: readonly bigint[],
  field: string,
): { readonly shape: readonly number[]; readonly count: number } {
  if (dims.length > maxRank)
    throw invalidField(field, `${dims.length} dimensions`, `at most ${maxRank} dimensions`);
  const shape: number[] = [];
  let count = 1;
  for (const dim of dims) {
    if (dim < 0n || dim > BigInt(maxElements))
      throw invalidField(field, `dimension ${dim}`, `0 to ${maxElements}`);
    shape.push(Number(dim));
  }
  for (const dim of [...shape].sort((a, b) => a - b)) {
    count *= dim;
    if (count > maxElements)
      throw invalidField(field, 'too many elements', `at most ${maxElements} elements`);
  }
  return { shape, count };
}

/** The number of elements of a shape that was checked. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, dim) => count * dim, 1);
}

/** The elements of one row: everything behind the first dimension. */
export function rowElements(shape: readonly number[]): number {
  return elementCount(shape.slice(1));
}

/** The size of a tensor's data in bytes; texts count as UTF-16. */
export function sizeOf(tensor: Tensor): number {
  if (tensor.data instanceof Uint8Array) return tensor.data.byteLength;
  return tensor.data.reduce((sum, text) => sum + 2 * text.length, 0);
}

/** Reads the elements as numbers (BOOL as 0 and 1, 64-bit integers as the nearest double). Not for BYTES. */
export function numbersOf(tensor: Tensor): Float64Array {
  if (!(tensor.data instanceof Uint8Array)) throw new TypeError(`${tensor.name} holds texts`);
  const { bytes } = elementTypes[tensor.type];
  const count = tensor.data.byteLength / bytes;
  const view = new DataView(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  const read = readers[tensor.type];
  const numbers = new Float64Array(count);
  for (let i = 0; i < count; i++) numbers[i] = read(view, i * bytes);
  return numbers;
}

type Reader = (view: DataView, at: number) => number;
const readers: Readonly<Record<ElementName, Reader>> = {
  BOOL: (view, at) => view.getUint8(at),
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => Number(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => Number(view.getBigInt64(at, true)),
  FP16: (view, at) => fromHalf(view.getUint16(at, true)),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
  BYTES: () => Number.NaN,
};

/** The value of an IEEE 754 binary16. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
