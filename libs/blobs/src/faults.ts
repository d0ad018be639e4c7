import { notFound } from '@millrace/errors';
import { unreadable } from './digest.ts';
import type { Digest } from './port.ts';

/** Errors of a process or a machine that lacks something for the moment; they say nothing of a blob. */
const passing = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR', 'EBUSY']);

/** What an error of the file system says of a blob: NOT_FOUND, BLOB_UNREADABLE, or nothing, and then it is itself. */
export function faultOf(digest: Digest, caught: unknown): unknown {
  const { errno, code = '' } = caught as NodeJS.ErrnoException;
  if (code === 'ENOENT') return notFound(`blob ${digest}`);
  return errno === undefined || passing.has(code) ? caught : unreadable(digest, caught);
}

/** Takes a file that is not there for undefined. */
export function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
