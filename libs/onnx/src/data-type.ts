import { TensorType } from '@millrace/contracts/common';
import { TensorProto_DataType as DataType } from '@millrace/contracts/onnx';

/** The element types that models written here may use. */
export type ElementType =
  | 'bool'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float16'
  | 'float32'
  | 'float64'
  | 'string';

/** One element type: its number in ONNX, its name in the Open Inference Protocol, its width (0 for text). */
export interface DataTypeRow {
  readonly element: ElementType;
  readonly onnx: DataType;
  readonly wire: TensorType;
  readonly bytes: number;
}

const rows: readonly DataTypeRow[] = [
  { element: 'bool', onnx: DataType.BOOL, wire: TensorType.BOOL, bytes: 1 },
  { element: 'uint8', onnx: DataType.UINT8, wire: TensorType.UINT8, bytes: 1 },
  { element: 'uint16', onnx: DataType.UINT16, wire: TensorType.UINT16, bytes: 2 },
  { element: 'uint32', onnx: DataType.UINT32, wire: TensorType.UINT32, bytes: 4 },
  { element: 'uint64', onnx: DataType.UINT64, wire: TensorType.UINT64, bytes: 8 },
  { element: 'int8', onnx: DataType.INT8, wire: TensorType.INT8, bytes: 1 },
  { element: 'int16', onnx: DataType.INT16, wire: TensorType.INT16, bytes: 2 },
  { element: 'int32', onnx: DataType.INT32, wire: TensorType.INT32, bytes: 4 },
  { element: 'int64', onnx: DataType.INT64, wire: TensorType.INT64, bytes: 8 },
  { element: 'float16', onnx: DataType.FLOAT16, wire: TensorType.FP16, bytes: 2 },
  { element: 'float32', onnx: DataType.FLOAT, wire: TensorType.FP32, bytes: 4 },
  { element: 'float64', onnx: DataType.DOUBLE, wire: TensorType.FP64, bytes: 8 },
  { element: 'string', onnx: DataType.STRING, wire: TensorType.BYTES, bytes: 0 },
];

const byOnnx = new Map<number, DataTypeRow>(rows.map((row) => [row.onnx, row]));
const byElement = new Map<ElementType, DataTypeRow>(rows.map((row) => [row.element, row]));

/** The row of an ONNX number; undefined for types that cannot be served (complex, bfloat16, 8 bits and fewer). */
export function rowOfOnnx(number: number): DataTypeRow | undefined {
  return byOnnx.get(number);
}

export function rowOfElement(element: ElementType): DataTypeRow {
  return byElement.get(element)!;
}

/** Bits of an element in raw data, for every type ONNX has; undefined for text and unknown numbers. */
export function rawBits(number: number): number | undefined {
  return bits[number];
}

const bits: Readonly<Record<number, number>> = {
  ...Object.fromEntries(rows.filter((row) => row.bytes > 0).map((row) => [row.onnx, row.bytes * 8])),
  [DataType.COMPLEX64]: 64,
  [DataType.COMPLEX128]: 128,
  [DataType.BFLOAT16]: 16,
  [DataType.FLOAT8E4M3FN]: 8,
  [DataType.FLOAT8E4M3FNUZ]: 8,
  [DataType.FLOAT8E5M2]: 8,
  [DataType.FLOAT8E5M2FNUZ]: 8,
  [DataType.UINT4]: 4,
  [DataType.INT4]: 4,
  [DataType.FLOAT4E2M1]: 4,
  [DataType.FLOAT8E8M0]: 8,
  [DataType.UINT2]: 2,
  [DataType.INT2]: 2,
  // FLOAT6 types have no agreed raw layout here; their size is not checked.
};
