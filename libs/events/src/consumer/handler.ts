import type { DescMessage } from '@bufbuild/protobuf';
import type { EventType } from '@millrace/contracts';
import type { AnyEvent, Event } from '../event.ts';

/** One type of event and what is done with it. Made by {@link handler}. */
export interface Handler {
  readonly type: EventType;
  handle(event: AnyEvent): Promise<void>;
}

/**
 * Says what is done with events of a type. It may run more than once for one event, so it must be idempotent: pass
 * `cause: event.id` to the store. When it throws, the event is tried again later, after `retryAfterMs` of a
 * CodedError if that is given; after the last try it becomes a dead letter.
 */
export function handler<S extends DescMessage>(
  type: EventType<S>,
  handle: (event: Event<S>) => Promise<void>,
): Handler {
  // The consumer decodes by `type`, so the data is of its schema.
  return { type, handle: (event) => handle(event as unknown as Event<S>) };
}

/** The same handling for events of several types. */
export function handlers(types: Iterable<EventType>, handle: (event: AnyEvent) => Promise<void>): Handler[] {
  return Array.from(types, (type) => ({ type, handle }));
}
