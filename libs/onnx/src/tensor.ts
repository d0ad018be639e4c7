import { create } from '@bufbuild/protobuf';
import {
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '@millrace/contracts/onnx';
import { invalidField } from '@millrace/errors';
import { type ElementType, rowOfElement } from './data-type.ts';

/** The values of a tensor, in row-major order. Integers of 64 bits may be numbers or bigints. */
export type TensorValues = ArrayLike<number> | readonly bigint[] | readonly string[] | readonly boolean[];

/** A weight. INVALID_FIELD when the values do not fill the shape. */
export function tensor(
  name: string,
  type: Exclude<ElementType, 'float16'>,
  dims: readonly number[],
  values: TensorValues,
): TensorProto {
  const elements = dims.reduce((product, dim) => product * dim, 1);
  if (values.length !== elements || !dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
    throw invalidField(
      name,
      `${values.length} values for the shape [${dims.join(', ')}]`,
      `${elements} values`,
    );
  const base = { name, dims: dims.map(BigInt), dataType: rowOfElement(type).onnx };
  if (type !== 'string') return create(TensorProtoSchema, { ...base, rawData: rawValues(type, values) });
  const encoder = new TextEncoder();
  return create(TensorProtoSchema, {
    ...base,
    stringData: Array.from(values as readonly string[], (text) => encoder.encode(text)),
  });
}

/** Writes one value at a place in little-endian order, for each type. */
const writers: Readonly<
  Record<
    Exclude<ElementType, 'float16' | 'string'>,
    (view: DataView, at: number, value: number | bigint) => void
  >
> = {
  bool: (view, at, value) => view.setUint8(at, Number(value)),
  uint8: (view, at, value) => view.setUint8(at, Number(value)),
  uint16: (view, at, value) => view.setUint16(at, Number(value), true),
  uint32: (view, at, value) => view.setUint32(at, Number(value), true),
  uint64: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  int8: (view, at, value) => view.setInt8(at, Number(value)),
  int16: (view, at, value) => view.setInt16(at, Number(value), true),
  int32: (view, at, value) => view.setInt32(at, Number(value), true),
  int64: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
  float32: (view, at, value) => view.setFloat32(at, Number(value), true),
  float64: (view, at, value) => view.setFloat64(at, Number(value), true),
};

function rawValues(
  type: Exclude<ElementType, 'float16' | 'string'>,
  values: TensorValues,
): Uint8Array<ArrayBuffer> {
  const { bytes } = rowOfElement(type);
  const raw = new Uint8Array(values.length * bytes);
  const view = new DataView(raw.buffer);
  const write = writers[type];
  for (let i = 0; i < values.length; i++) write(view, i * bytes, numeric(values[i]));
  return raw;
}

function numeric(value: unknown): number | bigint {
  return typeof value === 'bigint' ? value : Number(value);
}

/** An input or output of a model to be written. */
export interface ValueSpec {
  readonly name: string;
  readonly type: ElementType;
  /** A number fixes a dimension, a text names one that varies. */
  readonly shape: readonly (number | string)[];
}

/** A graph's input or output. */
export function value(spec: ValueSpec): ValueInfoProto {
  const dim = spec.shape.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : { case: 'dimParam' as const, value: size },
  }));
  const tensorType = { elemType: rowOfElement(spec.type).onnx, shape: { dim } };
  return create(ValueInfoProtoSchema, {
    name: spec.name,
    type: { value: { case: 'tensorType', value: tensorType } },
  });
}
