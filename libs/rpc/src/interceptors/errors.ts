import { CodedError, from, type Kind } from '@millrace/errors';
import type { ServerCall } from '../context.ts';
import type { Interceptor } from '../router.ts';

const ours: ReadonlySet<Kind> = new Set(['internal', 'unknown', 'data_loss']);
const notable: ReadonlySet<Kind> = new Set(['unavailable', 'resource_exhausted', 'deadline_exceeded']);

/**
 * Turns whatever a handler throws into a coded error and logs it. Of our own defects the log gets the cause under the
 * request id, and the caller that id.
 */
export const errors: Interceptor = async (call, next) => {
  const startMs = performance.now();
  try {
    await next(call);
    if (call.verbose) call.log.debug({ ms: performance.now() - startMs }, 'answered');
  } catch (caught) {
    throw report(call, call.ended ?? from(caught), performance.now() - startMs);
  }
};

function report(call: ServerCall, error: CodedError, ms: number): CodedError {
  const fields = { ms, kind: error.kind, code: error.code, reason: error.message };
  if (!ours.has(error.kind)) {
    if (notable.has(error.kind)) call.log.warn({ ...fields, err: error.cause }, 'refused');
    else if (call.verbose) call.log.debug(fields, 'refused');
    return error;
  }
  call.log.error({ ...fields, err: error.cause ?? error }, 'failed');
  const details = { ...error.details, requestId: call.requestId };
  const message =
    error.code === 'INTERNAL'
      ? `internal error; the log of the service has its cause under request id ${call.requestId}`
      : error.message;
  return new CodedError(error.kind, error.code, message, { details, violations: error.violations });
}
