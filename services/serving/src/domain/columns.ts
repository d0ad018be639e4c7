import { type ElementName, elementTypes } from './element-type.ts';

/** A value of a column; null where there is none. */
export type ColumnValue = null | boolean | number | bigint | string;

/** A value does not fit the type it is to be written as. */
class ColumnTypeError extends Error {
  override readonly name = 'ColumnTypeError';
}

const integerRanges: Readonly<Partial<Record<ElementName, readonly [bigint, bigint]>>> = {
  UINT8: [0n, 2n ** 8n - 1n],
  UINT16: [0n, 2n ** 16n - 1n],
  UINT32: [0n, 2n ** 32n - 1n],
  UINT64: [0n, 2n ** 64n - 1n],
  INT8: [-(2n ** 7n), 2n ** 7n - 1n],
  INT16: [-(2n ** 15n), 2n ** 15n - 1n],
  INT32: [-(2n ** 31n), 2n ** 31n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** Writes columns side by side as a row-major tensor; null takes the column's fallback, or NaN. */
export function tensorOfColumns(
  type: ElementName,
  columns: readonly { readonly values: readonly ColumnValue[]; readonly fallback: ColumnValue }[],
  rows: number,
): Uint8Array | readonly string[] {
  const wide = columns.length;
  if (type === 'BYTES') {
    const texts: string[] = [];
    for (let row = 0; row < rows; row++)
      for (const { values, fallback } of columns) texts.push(String(values[row] ?? fallback ?? ''));
    return texts;
  }
  const { bytes } = elementTypes[type];
  const data = new Uint8Array(rows * wide * bytes);
  const view = new DataView(data.buffer);
  for (const [c, { values, fallback }] of columns.entries())
    for (let row = 0; row < rows; row++)
      write(view, (row * wide + c) * bytes, type, values[row] ?? fallback ?? Number.NaN);
  return data;
}

function write(view: DataView, at: number, type: ElementName, value: Exclude<ColumnValue, null>): void {
  if (typeof value === 'string') throw new ColumnTypeError(`text where ${type} is wanted`);
  if (type === 'FP32') view.setFloat32(at, Number(value), true);
  else if (type === 'FP64') view.setFloat64(at, Number(value), true);
  else if (type === 'FP16') view.setUint16(at, toHalf(Number(value)), true);
  else if (type === 'BOOL') view.setUint8(at, value ? 1 : 0);
  else writeInteger(view, at, type, value);
}

function writeInteger(view: DataView, at: number, type: ElementName, value: boolean | number | bigint): void {
  if (typeof value === 'number' && !Number.isInteger(value))
    throw new ColumnTypeError(`${value} where ${type} is wanted`);
  const integer = BigInt(value);
  const [least, most] = integerRanges[type] ?? [0n, 0n];
  if (integer < least || integer > most) throw new ColumnTypeError(`${integer} does not fit ${type}`);
  for (let i = 0, rest = BigInt.asUintN(64, integer); i < elementTypes[type].bytes; i++, rest >>= 8n)
    view.setUint8(at + i, Number(rest & 0xffn));
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** IEEE 754 binary16 of a number, rounded to nearest, ties to even. */
export function toHalf(value: number): number {
  float[0] = value;
  const word = bits[0] ?? 0;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundEven(magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  return sign | (((exponent + 15) << 10) + roundEven((magnitude / 2 ** exponent - 1) * 1024));
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
