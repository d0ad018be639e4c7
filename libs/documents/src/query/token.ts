import { createHash } from 'node:crypto';
import { invalidField } from '@millrace/errors';

/**
 * Page tokens: where the last page ended (the keys of the ordering and the id), bound to the query they came from by
 * a digest. They are opaque, not secret: they carry nothing that the page did not.
 */
export function formatToken(shape: string, position: readonly string[]): string {
  const payload = JSON.stringify(position);
  return Buffer.from(digest(shape, payload) + payload).toString('base64url');
}

/** Reads a token of the same query; anything else is refused with INVALID_FIELD `page_token`. */
export function parseToken(shape: string, token: string, length: number): string[] {
  const text = Buffer.from(token, 'base64url').toString();
  const payload = text.slice(16);
  if (text.slice(0, 16) === digest(shape, payload) && Buffer.from(text).toString('base64url') === token) {
    const position: unknown = readJson(payload);
    // The digest is no secret: whoever knows the query can make a token of anything.
    if (isPosition(position, length)) return position;
  }
  const allowed = 'the next_page_token of the page before, with the same query';
  throw invalidField('page_token', 'damaged, or of another query', allowed);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPosition(value: unknown, length: number): value is string[] {
  return (
    Array.isArray(value) &&
    value.length === length &&
    value.every((key) => typeof key === 'string' && key.isWellFormed())
  );
}

function digest(shape: string, payload: string): string {
  return createHash('sha256').update(shape).update('\0').update(payload).digest('hex').slice(0, 16);
}
