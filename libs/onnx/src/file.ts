import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema } from '@millrace/contracts/onnx';
import { invalidField } from '@millrace/errors';
import { foreignFormat } from './foreign-format.ts';
import { defaultLimits, type ModelLimits } from './limits.ts';
import type { Refusal } from './refusal.ts';
import { scan } from './scan.ts';

/** A file that was read, or why it cannot be. */
export type ReadResult = { readonly model: ModelProto } | { readonly refusal: Refusal };

/** Reads a file that nobody vouches for: first what it would cost, then its messages. Throws nothing. */
export function tryReadModel(bytes: Uint8Array, limits: ModelLimits = defaultLimits): ReadResult {
  if (bytes.length === 0) return refuse('EMPTY', 'the file is empty');
  if (bytes.length > limits.maxBytes)
    return refuse('TOO_LARGE', `the file has ${bytes.length} bytes; allowed are ${limits.maxBytes}`);
  const foreign = foreignFormat(bytes);
  if (foreign) return refuse('NOT_ONNX', `it is ${foreign}, not an ONNX file`);
  const problem = scan(bytes, limits);
  if (problem) return { refusal: problem };
  try {
    const model = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
    if (model.graph === undefined) return refuse('NO_GRAPH', 'it is not an ONNX model: it has no graph');
    return { model };
  } catch {
    return refuse('MALFORMED', 'it is not an ONNX file: its messages cannot be read');
  }
}

/** Reads a file. INVALID_FIELD naming `field` when it is not an ONNX model within the limits. */
export function readModel(
  bytes: Uint8Array,
  limits: ModelLimits = defaultLimits,
  field = 'model',
): ModelProto {
  const read = tryReadModel(bytes, limits);
  if ('model' in read) return read.model;
  throw invalidField(field, read.refusal.message, 'an ONNX model');
}

/** The bytes of a model. */
export function writeModel(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

function refuse(code: Refusal['code'], message: string): ReadResult {
  return { refusal: { code, message } };
}
