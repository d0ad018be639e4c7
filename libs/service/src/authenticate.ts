import { createHash, timingSafeEqual } from 'node:crypto';
import { CodedError } from '@millrace/errors';
import type { Authenticate } from '@millrace/rpc';

/** Lets in whoever brings the token as `authorization: Bearer …`; compared in constant time. */
export function authenticateBy(token: string): Authenticate {
  const wanted = digest(`Bearer ${token}`);
  return ({ metadata }) => {
    const given = digest(metadata.get('authorization') ?? '');
    if (timingSafeEqual(given, wanted)) return { subject: 'token', permissions: 'all' };
    throw new CodedError('unauthenticated', 'UNAUTHENTICATED', 'the call carries no valid bearer token');
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
