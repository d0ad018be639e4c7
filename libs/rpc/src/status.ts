import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Any, anyPack, anyUnpack, durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
  StatusSchema,
} from '@millrace/contracts/google-rpc';
import { CodedError, type CodedErrorOptions, codes, kindOfGrpc, kinds } from '@millrace/errors';

/** An error as it travels: a gRPC status and `grpc-status-details-bin`. */
export interface WireStatus {
  readonly code: number;
  readonly message: string;
  /** A google.rpc.Status in its binary form. */
  readonly details: Uint8Array;
}

/** The trailer that carries {@link WireStatus.details}. */
export const detailsKey = 'grpc-status-details-bin';

/** Gives the reasons of google.rpc.ErrorInfo their meaning. */
const domain = 'millrace.dev';

// Trailers of more than 8 KiB are refused by other implementations; base64 and percent-encoding lengthen these.
const maxMessageLength = 1000;
const maxDetailsBytes = 4500;

/** Turns an error into its wire form. Its cause stays here. */
export function toWire(error: CodedError): WireStatus {
  const code = kinds[error.kind].grpc;
  const message = clip(error.message, maxMessageLength);
  const info = create(ErrorInfoSchema, { reason: error.code, domain, metadata: error.details });
  const details: Any[] = [anyPack(ErrorInfoSchema, info)];
  if (error.retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(Math.max(0, Math.ceil(error.retryAfterMs)));
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  const fieldViolations = error.violations.map((v) => ({
    field: clip(v.field, 200),
    description: clip(v.description, 300),
  }));
  while (fieldViolations.length > 0) {
    const bad = anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations }));
    const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details: [...details, bad] }));
    if (bytes.length <= maxDetailsBytes) return { code, message, details: bytes };
    fieldViolations.pop();
  }
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
  if (bytes.length <= maxDetailsBytes) return { code, message, details: bytes };
  const bare = create(StatusSchema, {
    code,
    message,
    details: [anyPack(ErrorInfoSchema, { ...info, metadata: {} })],
  });
  return { code, message, details: toBinary(StatusSchema, bare) };
}

/** Turns a status and its details, ours or another implementation's, into an error. */
export function fromWire(code: number, message: string, details: Uint8Array | undefined): CodedError {
  const kind = kindOfGrpc(code);
  const options: { -readonly [K in keyof CodedErrorOptions]: CodedErrorOptions[K] } = {};
  let reason: string | undefined;
  for (const detail of unpack(details)) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info) {
      reason = info.reason;
      options.details = { ...info.metadata };
    }
    const bad = anyUnpack(detail, BadRequestSchema);
    if (bad)
      options.violations = bad.fieldViolations.map(({ field, description }) => ({ field, description }));
    const retry = anyUnpack(detail, RetryInfoSchema);
    if (retry?.retryDelay) options.retryAfterMs = durationMs(retry.retryDelay);
  }
  return new CodedError(kind, reason || plainCode(kind, message), message, options);
}

function unpack(details: Uint8Array | undefined): readonly Any[] {
  if (!details) return [];
  try {
    return fromBinary(StatusSchema, details).details;
  } catch {
    return [];
  }
}

/** The code for a status that came without one. */
function plainCode(kind: CodedError['kind'], message: string): string {
  if (kind === 'resource_exhausted') return /larger than/.test(message) ? 'TOO_LARGE' : 'OVERLOADED';
  for (const [code, row] of Object.entries(codes))
    if (row.kind === kind && code === kind.toUpperCase()) return code;
  return kind.toUpperCase();
}

function clip(text: string, max: number): string {
  // A lone surrogate cannot be percent-encoded and would break the trailer.
  const whole = text.toWellFormed();
  if (encodedLength(whole) <= max * 1.5) return whole;
  let cut = whole.slice(0, max);
  while (encodedLength(cut) > max * 1.5) cut = cut.slice(0, Math.floor(cut.length * 0.8));
  return `${cut.toWellFormed()}…`;
}

function encodedLength(text: string): number {
  return encodeURI(text.toWellFormed()).length;
}
