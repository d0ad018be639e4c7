import { invalidField } from '@millrace/errors';
import { encodeByteStrings, parseText } from './byte-strings.ts';
import { type ContentsField, type ElementName, elementTypes } from './element-type.ts';
import type { Tensor } from './tensor.ts';

/** InferTensorContents as it is decoded. */
export interface Contents {
  readonly boolContents: readonly boolean[];
  readonly intContents: readonly number[];
  readonly int64Contents: readonly bigint[];
  readonly uintContents: readonly number[];
  readonly uint64Contents: readonly bigint[];
  readonly fp32Contents: readonly number[];
  readonly fp64Contents: readonly number[];
  readonly bytesContents: readonly Uint8Array[];
}

const fields: readonly ContentsField[] = [
  'boolContents',
  'intContents',
  'int64Contents',
  'uintContents',
  'uint64Contents',
  'fp32Contents',
  'fp64Contents',
  'bytesContents',
];

/** Integers that share a list with wider ones, and the range that fits each. */
const ranges: Readonly<Partial<Record<ElementName, readonly [number, number]>>> = {
  INT8: [-(2 ** 7), 2 ** 7 - 1],
  INT16: [-(2 ** 15), 2 ** 15 - 1],
  UINT8: [0, 2 ** 8 - 1],
  UINT16: [0, 2 ** 16 - 1],
};

type Writer = (view: DataView, at: number, value: never) => void;
const writers: Readonly<Partial<Record<ElementName, Writer>>> = {
  BOOL: (view, at, value: boolean) => view.setUint8(at, value ? 1 : 0),
  UINT8: (view, at, value: number) => view.setUint8(at, value),
  UINT16: (view, at, value: number) => view.setUint16(at, value, true),
  UINT32: (view, at, value: number) => view.setUint32(at, value, true),
  UINT64: (view, at, value: bigint) => view.setBigUint64(at, value, true),
  INT8: (view, at, value: number) => view.setInt8(at, value),
  INT16: (view, at, value: number) => view.setInt16(at, value, true),
  INT32: (view, at, value: number) => view.setInt32(at, value, true),
  INT64: (view, at, value: bigint) => view.setBigInt64(at, value, true),
  FP32: (view, at, value: number) => view.setFloat32(at, value, true),
  FP64: (view, at, value: number) => view.setFloat64(at, value, true),
};

/** The elements of typed contents; refuses a wrong list, a wrong count and numbers that do not fit. */
export function parseContents(
  contents: Contents | undefined,
  type: ElementName,
  count: number,
  field: string,
): Tensor['data'] {
  const { contents: own, bytes } = elementTypes[type];
  if (!own) throw invalidField(field, `${type} as typed contents`, `raw_input_contents for ${type}`);
  for (const other of fields)
    if (other !== own && contents && contents[other].length > 0)
      throw invalidField(field, `${protoName(other)} is used for ${type}`, protoName(own));
  const values = contents?.[own] ?? [];
  if (values.length !== count)
    throw invalidField(field, `${values.length} elements`, `${count} elements, as the shape says`);
  if (type === 'BYTES') return (values as readonly Uint8Array[]).map((value) => parseText(value, field));
  const range = ranges[type];
  const bad = range && (values as readonly number[]).find((value) => value < range[0] || value > range[1]);
  if (range && bad !== undefined)
    throw invalidField(field, `${bad} does not fit ${type}`, `${range[0]} to ${range[1]}`);
  const data = new Uint8Array(count * bytes);
  const view = new DataView(data.buffer);
  const write = writers[type];
  for (let i = 0; i < count; i++) write?.(view, i * bytes, values[i] as never);
  return data;
}

/** Typed contents of a tensor, for callers that ask for them; undefined for FP16, which has none. */
export function encodeContents(tensor: Tensor): Partial<Contents> | undefined {
  const { contents: own, bytes } = elementTypes[tensor.type];
  if (!own) return undefined;
  if (!(tensor.data instanceof Uint8Array)) {
    const encoder = new TextEncoder();
    return { bytesContents: tensor.data.map((text) => encoder.encode(text)) };
  }
  const view = new DataView(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength);
  const read = readers[tensor.type];
  const values = Array.from({ length: view.byteLength / bytes }, (_, i) => read?.(view, i * bytes));
  return { [own]: values };
}

const readers: Readonly<
  Partial<Record<ElementName, (view: DataView, at: number) => boolean | number | bigint>>
> = {
  BOOL: (view, at) => view.getUint8(at) !== 0,
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => view.getBigUint64(at, true),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => view.getBigInt64(at, true),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
};

/** The raw form of a tensor's data. */
export function encodeRaw(tensor: Tensor): Uint8Array {
  return tensor.data instanceof Uint8Array ? tensor.data : encodeByteStrings(tensor.data);
}

function protoName(field: ContentsField): string {
  return field.replace('Contents', '_contents');
}
