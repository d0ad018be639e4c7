import { CodedError, from, unavailable } from '@millrace/errors';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { NoRespondersError, RequestError, TimeoutError } from '@nats-io/transport-node';

/** The server's code for a message that names another newest message than there is. Source: server/errors.json. */
const wrongLastMessage = 10_070;

/** Whether an error says that the stream or consumer does not exist. */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamNotFound || error.code === JetStreamApiCodes.ConsumerNotFound)
  );
}

/** Whether an error says that nobody listens on a subject: no stream takes it, or JetStream is off. */
function isUnheard(error: unknown): boolean {
  return (
    error instanceof NoRespondersError ||
    (error instanceof RequestError && error.isNoResponders()) ||
    (error instanceof Error && error.cause instanceof NoRespondersError)
  );
}

/** Runs a call to JetStream and turns its failures into coded errors that name what could not be reached. */
export async function orUnavailable<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw natsError(what, error);
  }
}

/** A failure of NATS as a coded error. A time-out is `unavailable`: whether it was done is not known. */
export function natsError(what: string, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  if (isUnheard(error)) return unavailable(`${what}: JetStream (or the stream)`, { cause: error });
  if (error instanceof TimeoutError)
    return unavailable(`${what}: NATS did not answer in time; it`, { cause: error });
  if (error instanceof JetStreamApiError) {
    if (error.code === wrongLastMessage)
      return new CodedError('failed_precondition', 'OUT_OF_ORDER', `${what}: ${error.message}`, {
        cause: error,
      });
    const kind = error.status === 503 ? 'unavailable' : 'failed_precondition';
    return new CodedError(
      kind,
      kind === 'unavailable' ? 'UNAVAILABLE' : 'WRONG_STATE',
      `${what}: ${error.message}`,
      {
        cause: error,
      },
    );
  }
  if (error instanceof Error && /closed|disconnect|drain/i.test(error.message))
    return unavailable(`${what}: NATS`, { cause: error });
  return from(error);
}
