import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type InferTensorContents,
  InferTensorContentsSchema,
  type ModelInferResponse,
} from '@millrace/contracts/inference';
import { invalidField } from '@millrace/errors';

type Contents = MessageInitShape<typeof InferTensorContentsSchema>;

/** The types of the Open Inference Protocol v2 that have a field in `InferTensorContents`. */
const datatypes = [
  'BOOL',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'FP32',
  'FP64',
  'BYTES',
] as const;

/** Texts as the contents of a tensor. INVALID_FIELD, naming the input, for a text that its type does not hold. */
export function contentsOf(input: string, datatype: string, texts: readonly string[]): InferTensorContents {
  const each = <T>(what: string, read: (text: string) => T | undefined): T[] =>
    texts.map((text) => {
      const value = read(text);
      if (value !== undefined) return value;
      throw invalidField(input, `${JSON.stringify(text)} is not ${what}`, `values of ${datatype}`);
    });
  const whole = () => each('a whole number', wholeOf);
  const fields = (): Contents => {
    switch (datatype) {
      case 'BOOL':
        return { boolContents: each('true or false', (text) => truths[text.toLowerCase()]) };
      case 'INT8':
      case 'INT16':
      case 'INT32':
        return { intContents: whole().map(Number) };
      case 'INT64':
        return { int64Contents: whole() };
      case 'UINT8':
      case 'UINT16':
      case 'UINT32':
        return { uintContents: whole().map(Number) };
      case 'UINT64':
        return { uint64Contents: whole() };
      case 'FP32':
        return { fp32Contents: each('a number', numberOf) };
      case 'FP64':
        return { fp64Contents: each('a number', numberOf) };
      case 'BYTES':
        return { bytesContents: texts.map((text) => Buffer.from(text, 'utf8')) };
      default:
        throw invalidField(input, `its type ${datatype} cannot be written as text`, datatypes.join(', '));
    }
  };
  return create(InferTensorContentsSchema, fields());
}

const truths: Readonly<Record<string, boolean>> = { true: true, false: false, 1: true, 0: false };

function wholeOf(text: string): bigint | undefined {
  return /^[+-]?\d+$/.test(text) ? BigInt(text.replace(/^\+/, '')) : undefined;
}

function numberOf(text: string): number | undefined {
  if (/^nan$/i.test(text)) return Number.NaN;
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? undefined : value;
}

/** One output of an answer, with plain values. */
export interface OutputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly values: readonly (number | bigint | boolean | string)[];
}

/** The outputs of an answer, from raw bytes (little-endian, row after row) or typed contents. */
export function outputsOf(response: ModelInferResponse): OutputTensor[] {
  return response.outputs.map((output, i) => {
    const raw = response.rawOutputContents[i];
    const values = raw ? rawValues(output.datatype, raw) : typedValues(output.contents);
    return { name: output.name, datatype: output.datatype, shape: output.shape.map(Number), values };
  });
}

function typedValues(contents: InferTensorContents | undefined): OutputTensor['values'] {
  if (!contents) return [];
  const { bytesContents, $typeName: _, $unknown: __, ...numeric } = contents;
  const texts = bytesContents.map((value) => Buffer.from(value).toString('utf8'));
  return [...Object.values(numeric).flat(), ...texts] as OutputTensor['values'];
}

function rawValues(datatype: string, raw: Uint8Array): OutputTensor['values'] {
  const bytes = Buffer.from(raw);
  const every = <T>(size: number, read: (at: number) => T): T[] =>
    Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => read(i * size));
  switch (datatype) {
    case 'BOOL':
      return every(1, (at) => bytes[at] !== 0);
    case 'INT8':
      return every(1, (at) => bytes.readInt8(at));
    case 'INT16':
      return every(2, (at) => bytes.readInt16LE(at));
    case 'INT32':
      return every(4, (at) => bytes.readInt32LE(at));
    case 'INT64':
      return every(8, (at) => bytes.readBigInt64LE(at));
    case 'UINT8':
      return every(1, (at) => bytes.readUInt8(at));
    case 'UINT16':
      return every(2, (at) => bytes.readUInt16LE(at));
    case 'UINT32':
      return every(4, (at) => bytes.readUInt32LE(at));
    case 'UINT64':
      return every(8, (at) => bytes.readBigUInt64LE(at));
    case 'FP32':
      return every(4, (at) => bytes.readFloatLE(at));
    case 'FP64':
      return every(8, (at) => bytes.readDoubleLE(at));
    case 'BYTES':
      return lengthPrefixed(bytes);
    default:
      return [`${bytes.length} bytes of ${datatype}`];
  }
}

function lengthPrefixed(bytes: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    texts.push(bytes.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return texts;
}
