import { channel } from 'node:diagnostics_channel';
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { RequestLedger } from '@millrace/documents';
import { isCoded } from '@millrace/errors';

/** What a mutating handler is told beside its request. */
export interface Mutation {
  /**
   * 32 hexadecimal digits, the same at every retry of one request id: the id of what is created, and of the event that
   * tells of a deletion.
   */
  readonly id: string;
  /** Give it to the store's writes: the method and the caller's request id. Absent when the caller gave none. */
  readonly requestId?: string;
}

/** Race point: a call with a request id was done, and its answer is not stored. */
const done = channel('millrace:service.before-answer');

/** Any mutating request. */
interface Mutating {
  readonly requestId: string;
}

export interface MutateOptions<I extends DescMessage, O extends DescMessage> {
  readonly ledger: RequestLedger;
  /** The full name of the method. */
  readonly method: string;
  readonly project: string;
  readonly input: I;
  readonly output: O;
}

/**
 * Runs a mutating call once for each request id: the same id and body get the same answer, the same id with another
 * body REQUEST_ID_REUSED. Without a request id it simply runs.
 *
 * What was deleted keeps no note of who deleted it. So where the answer is an empty message, the event `mutation.id`
 * tells that the call was done: tried again after a crash it is answered, and does not ask for what it removed itself.
 */
export async function mutate<I extends DescMessage, O extends DescMessage>(
  options: MutateOptions<I, O>,
  request: MessageShape<I> & Mutating,
  run: (mutation: Mutation) => Promise<MessageInitShape<O>>,
): Promise<MessageInitShape<O>> {
  const { ledger, method, project, input, output } = options;
  const { requestId } = request;
  const body = toBinary(input, request);
  const answer = await ledger.once({ method, project, requestId, body }, async (id) => {
    const isDone = async () => requestId !== '' && output.fields.length === 0 && (await ledger.recorded(id));
    if (await isDone()) return toBinary(output, create(output));
    try {
      const result = await run(requestId ? { id, requestId: `${method}:${requestId}` } : { id });
      if (requestId) done.publish(method);
      return toBinary(output, create(output, result));
    } catch (error) {
      // Another process may have had the same call and been faster.
      if (isCoded(error, 'NOT_FOUND') && (await isDone())) return toBinary(output, create(output));
      throw error;
    }
  });
  return fromBinary(output, answer) as MessageInitShape<O>;
}
