import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { EventType } from '@millrace/contracts';
import { type EventDraft, newId } from '@millrace/documents';
import { CodedError } from '@millrace/errors';
import { context, propagation } from '@opentelemetry/api';

/** The most bytes the data of one event may have: a message of 1 MiB, less room for its headers. */
export const maxEventBytes = 1_000_000;

export interface DraftInput<S extends DescMessage> {
  readonly project: string;
  /** The full name of the resource it is about. */
  readonly resource: string;
  /** The message, or its bytes when it was written already. */
  readonly data: MessageInitShape<S> | Uint8Array;
  readonly timeMs: number;
  /** @default a new UUIDv7 */
  readonly id?: string;
}

/**
 * Makes an event to `emit` with a document's change. It carries the current trace. Throws EVENT_TOO_LARGE for data
 * over {@link maxEventBytes}: split it, or store it as a blob and name its digest.
 */
export function draft<S extends DescMessage>(type: EventType<S>, input: DraftInput<S>): EventDraft {
  const data =
    input.data instanceof Uint8Array
      ? input.data
      : toBinary(type.schema, create(type.schema, input.data as MessageInitShape<S>));
  if (data.length > maxEventBytes) {
    const message = `the data of ${type.type} has ${data.length} bytes; allowed: ${maxEventBytes}. Split it into several events`;
    throw new CodedError('resource_exhausted', 'EVENT_TOO_LARGE', message);
  }
  const traceparent = currentTrace();
  return {
    id: input.id ?? newId(),
    type: type.type,
    project: input.project,
    resource: input.resource,
    timeMs: input.timeMs,
    data,
    ...(traceparent ? { traceparent } : {}),
  };
}

function currentTrace(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}
