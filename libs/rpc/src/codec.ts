import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import { CodedError } from '@millrace/errors';
import { weigh } from './weight.ts';

/** Serialises a message, or what a message can be made of, into a Buffer over the bytes themselves. */
export function encodeMessage(type: DescMessage, init: MessageInitShape<DescMessage>): Buffer {
  const bytes = toBinary(type, create(type, init));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The caller's bytes as a message; INVALID_ARGUMENT where they are not one or a field has a wire type that is not its
 * type's, RESOURCE_EXHAUSTED where they would take more than `maxWeight` bytes of memory when read. Fields that the
 * contract does not know are left out.
 */
export function decodeRequest(type: DescMessage, bytes: Uint8Array, maxWeight: number): Message {
  if (weigh(type, bytes, maxWeight) > maxWeight) {
    const text = `the request has so many parts that it would take more than ${maxWeight} bytes of memory; allowed: fewer parts`;
    throw new CodedError('resource_exhausted', 'TOO_LARGE', text);
  }
  try {
    return fromBinary(type, plain(bytes), { readUnknownFields: false });
  } catch (cause) {
    const text = `the request is not a ${type.typeName} in its binary form`;
    throw new CodedError('invalid_argument', 'UNDECODABLE', text, { cause });
  }
}

/** The caller's request as bytes; INVALID_ARGUMENT where a value does not fit its field. */
export function encodeRequest(type: DescMessage, init: MessageInitShape<DescMessage>): Buffer {
  try {
    return encodeMessage(type, init);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CodedError('invalid_argument', 'UNENCODABLE', `the request cannot be sent: ${why}`, { cause });
  }
}

/** The server's bytes as a message. */
export function decodeResponse(type: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(type, plain(bytes));
  } catch (cause) {
    const text = `the answer is not a ${type.typeName} in its binary form; client and server disagree on the contract`;
    throw new CodedError('internal', 'INTERNAL', text, { cause });
  }
}

/**
 * The same bytes as a plain Uint8Array: fields of type bytes are views of what is decoded, and `slice` of a Buffer does
 * not copy as that of a Uint8Array does.
 */
function plain(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes;
}

/** The message is larger than a side allows. */
export function tooLarge(what: string, bytes: number, maxBytes: number): CodedError {
  const text = `the ${what} has ${bytes} bytes; allowed: at most ${maxBytes}`;
  return new CodedError('resource_exhausted', 'TOO_LARGE', text, {
    details: { bytes: String(bytes), maxBytes: String(maxBytes) },
  });
}
