import { type DescMethod, ScalarType } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { type CodedError, isCoded } from '@millrace/errors';

const firstDelayMs = 50;
const maxDelayMs = 1000;
/** A service that was killed is back within a few seconds; who has waited longer is told. */
const patienceMs = 10_000;

/**
 * Whether a call may be made again after this error, the server having been away for so long: it never reached its end,
 * and twice does no more than once.
 */
export function mayRetry(
  method: DescMethod,
  request: object,
  error: unknown,
  awayMs: number,
): error is CodedError {
  return awayMs < patienceMs && isCoded(error, 'unavailable') && isRepeatable(method, request);
}

/**
 * How long to wait before the next attempt: exponential back-off with full jitter, on top of what the server asked for,
 * because all whom it turned away were asked the same. Undefined when the deadline would pass before.
 */
export function retryDelayMs(
  attempts: number,
  leftMs: number,
  serverAskedMs = 0,
  random: () => number = Math.random,
): number | undefined {
  const ceilingMs = Math.min(maxDelayMs, firstDelayMs * 2 ** (attempts - 1));
  const delayMs = serverAskedMs + random() * ceilingMs;
  return delayMs < leftMs ? delayMs : undefined;
}

function isRepeatable(method: DescMethod, request: object): boolean {
  const level = method.idempotency;
  if (level === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return true;
  if (level === MethodOptions_IdempotencyLevel.IDEMPOTENT) return true;
  const field = method.input.fields.find((f) => f.name === 'request_id');
  if (field?.fieldKind !== 'scalar' || field.scalar !== ScalarType.STRING) return false;
  return Boolean((request as Readonly<Record<string, unknown>>)[field.localName]);
}
