import { createHash } from 'node:crypto';
import { CodedError, invalidField } from '@millrace/errors';
import type { Digest } from './port.ts';

/** The SHA-256 digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Whether a text has the shape of a digest. */
export function isDigest(text: string): text is Digest {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

/** Takes a text for a digest; INVALID_FIELD naming `field` when it is none. */
export function parseDigest(text: string, field = 'digest'): Digest {
  if (isDigest(text)) return text;
  throw invalidField(field, 'is not a digest', 'sha256: and 64 lowercase hexadecimal digits');
}

/** The 64 digits, which make the only file names and object keys there are. */
export function hexOf(digest: Digest): string {
  return parseDigest(digest).slice('sha256:'.length);
}

/** The error for bytes that came in with another digest than was said. */
export function wrongUpload(expected: Digest, actual: Digest): CodedError {
  const description = `the bytes have ${actual}; allowed: bytes with ${expected}`;
  const message = `digest: ${description}; nothing was stored`;
  return new CodedError('invalid_argument', 'DIGEST_MISMATCH', message, {
    violations: [{ field: 'digest', description }],
  });
}

/** The error for stored bytes that no longer have the digest they are known by. */
export function damaged(digest: Digest, actual: string): CodedError {
  const message = `the stored blob ${digest} is damaged: its bytes now have ${actual}; restore it from a copy`;
  return new CodedError('data_loss', 'DIGEST_MISMATCH', message, { details: { digest } });
}

/** The error for a stored blob whose bytes are not given out by what holds them. */
export function unreadable(digest: Digest, cause: unknown): CodedError {
  const message = `the stored blob ${digest} cannot be read; mend what holds it, or restore it from a copy`;
  return new CodedError('data_loss', 'BLOB_UNREADABLE', message, { details: { digest }, cause });
}

/** The error for more bytes than allowed. */
export function tooLarge(maxBytes: number): CodedError {
  return new CodedError('resource_exhausted', 'TOO_LARGE', `more than the ${maxBytes} bytes allowed`, {
    details: { maxBytes: String(maxBytes) },
  });
}
