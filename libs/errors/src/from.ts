import { CodedError } from './coded-error.ts';
import type { Kind } from './kinds.ts';

/** Node's error codes that mean something to a caller. */
const systemErrors: Readonly<Record<string, readonly [Kind, string, string]>> = {
  ENOSPC: ['resource_exhausted', 'DISK_FULL', 'the storage has no space left; free some and retry'],
  EDQUOT: ['resource_exhausted', 'DISK_FULL', 'the storage quota is used up; free some and retry'],
  EIO: ['unavailable', 'UNAVAILABLE', 'the disk could not be read or written; check it and retry'],
  ECONNREFUSED: ['unavailable', 'UNAVAILABLE', 'a service this call needs refuses connections; retry'],
  ECONNRESET: ['unavailable', 'UNAVAILABLE', 'a connection this call needs was reset; retry'],
  ETIMEDOUT: ['unavailable', 'UNAVAILABLE', 'a connection this call needs timed out; retry'],
};

/**
 * The one funnel: turns anything caught into a coded error. Coded errors pass unchanged; an abort becomes
 * `cancelled`, a time-out `deadline_exceeded`, full disks and lost connections their kinds; everything else is our
 * defect, `internal`, whose message tells the caller nothing of the cause.
 */
export function from(caught: unknown): CodedError {
  if (caught instanceof CodedError) return caught;
  if (caught instanceof Error) {
    const [kind, code, message] = systemErrors[(caught as NodeJS.ErrnoException).code ?? ''] ?? [];
    if (kind && code && message) return new CodedError(kind, code, message, { cause: caught });
    if (caught.name === 'AbortError')
      return new CodedError('cancelled', 'CANCELLED', 'the call was cancelled', { cause: caught });
    if (caught.name === 'TimeoutError') {
      const text = 'the call did not finish within its deadline';
      return new CodedError('deadline_exceeded', 'DEADLINE_EXCEEDED', text, { cause: caught });
    }
  }
  const message = 'internal error; the log of the service has its cause';
  return new CodedError('internal', 'INTERNAL', message, { cause: caught });
}
