import type { Kind } from './kinds.ts';

/**
 * The catalogue of stable codes that any service can answer with. A service adds its own beside its domain with
 * {@link defineCodes}; a code, once released, keeps its meaning.
 */
export const codes = defineCodes({
  INVALID_FIELD: {
    kind: 'invalid_argument',
    meaning: 'A field of the request breaks a rule; the violations name it.',
  },
  NOT_FOUND: { kind: 'not_found', meaning: 'The named resource does not exist.' },
  ALREADY_EXISTS: { kind: 'already_exists', meaning: 'A resource of that name exists.' },
  REQUEST_ID_REUSED: { kind: 'already_exists', meaning: 'The request_id was used before with another body.' },
  VERSION_CONFLICT: {
    kind: 'aborted',
    meaning: 'The resource changed since it was read; read it again and retry.',
  },
  WRONG_STATE: {
    kind: 'failed_precondition',
    meaning: 'The resource is in a state that does not allow this.',
  },
  PERMISSION_DENIED: {
    kind: 'permission_denied',
    meaning: 'The caller lacks the permission of this method.',
  },
  UNAUTHENTICATED: { kind: 'unauthenticated', meaning: 'The call carries no valid credentials.' },
  TOO_LARGE: { kind: 'resource_exhausted', meaning: 'The message or upload is larger than the limit.' },
  OVERLOADED: { kind: 'resource_exhausted', meaning: 'A bounded queue is full; retry later.' },
  DISK_FULL: { kind: 'resource_exhausted', meaning: 'The storage has no space left.' },
  STORE_FAILED: {
    kind: 'unavailable',
    meaning: 'The disk did not confirm a write; the store takes no more until the service is started again.',
  },
  UNAVAILABLE: { kind: 'unavailable', meaning: 'Something this call needs cannot be reached; retry.' },
  DEADLINE_EXCEEDED: { kind: 'deadline_exceeded', meaning: 'The call did not finish within its deadline.' },
  DEADLINE_REQUIRED: { kind: 'invalid_argument', meaning: 'The call carries no deadline.' },
  CANCELLED: { kind: 'cancelled', meaning: 'The caller went away.' },
  UNIMPLEMENTED: { kind: 'unimplemented', meaning: 'The server does not have this method.' },
  DIGEST_MISMATCH: { kind: 'data_loss', meaning: 'Stored bytes do not have the digest they are known by.' },
  BLOB_UNREADABLE: { kind: 'data_loss', meaning: 'Stored bytes are there but cannot be read.' },
  QUERY_NOT_INDEXED: { kind: 'internal', meaning: 'A query has no declared index; a defect of the service.' },
  INTERNAL: {
    kind: 'internal',
    meaning: 'A defect of the service; its log has the cause under the request id.',
  },
});

/** One row of a catalogue of codes. */
export interface CodeRow {
  readonly kind: Kind;
  /** What the code means, for the reference page. */
  readonly meaning: string;
}

/** Declares the codes of a domain; the keys are the codes. */
export function defineCodes<const T extends Readonly<Record<string, CodeRow>>>(rows: T): T {
  return rows;
}
