import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import type { EventType } from '@millrace/contracts';
import type { EventDraft } from '@millrace/documents';
import { isCoded, unavailable } from '@millrace/errors';
import type { PubAck } from '@nats-io/jetstream';
import type { Bus } from './bus.ts';
import { encodeHeaders } from './cloud-events.ts';
import { draft } from './draft.ts';
import { orUnavailable } from './failures.ts';

/** The subject of an event: `millrace.<project>.<context>.<entity>.<event>.v<n>`. */
export function subjectOfDraft(event: Pick<EventDraft, 'type' | 'project'>): string {
  return `millrace.${event.project}.${event.type.replace(/^millrace\./, '')}`;
}

export interface SendOptions {
  /** @default 5000 */
  readonly timeoutMs?: number;
  /** The de-duplication id. @default the event's id */
  readonly messageId?: string;
}

/**
 * Publishes a recorded event once and waits until the stream has it. A time-out means that it is not known: publish
 * again with the same id, and the stream keeps one copy. Throws `unavailable`.
 */
export async function sendEvent(
  bus: Bus,
  event: EventDraft & { readonly sequence?: number },
  options: SendOptions = {},
): Promise<PubAck> {
  const client = await bus.jetstream();
  const answer = client.publish(subjectOfDraft(event), event.data, {
    headers: encodeHeaders({ ...event, sequence: event.sequence ?? 0 }),
    msgID: options.messageId ?? event.id,
    timeout: options.timeoutMs ?? 5_000,
  });
  return orUnavailable(`publishing ${event.type}`, () => untilReconnected(bus, answer));
}

/** An answer asked for over a connection that was lost will not come: there is no need to wait for the time-out. */
export function untilReconnected<T>(bus: Bus, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const off = bus.onConnect(() => reject(unavailable('NATS: the connection was lost; the stream')));
    answer.then(resolve, reject).finally(off);
  });
}

export interface PublishInput<S extends DescMessage> {
  readonly project: string;
  readonly resource: string;
  readonly data: MessageInitShape<S>;
  /** Give the same id again when a publish failed: the stream keeps one copy. @default a new UUIDv7 */
  readonly id?: string;
  /** @default now */
  readonly timeMs?: number;
}

/** How often an unanswered publish is tried. */
const tries = 3;

/**
 * Publishes a fact that comes from outside and stands in no document of ours. What a service changes itself is
 * emitted with its document instead, so that it cannot be lost. Throws `unavailable` when the stream did not confirm
 * it after three tries; it may have it none the less.
 */
export async function publish<S extends DescMessage>(
  bus: Bus,
  type: EventType<S>,
  input: PublishInput<S>,
): Promise<{ readonly id: string; readonly duplicate: boolean }> {
  const event = draft(type, { ...input, timeMs: input.timeMs ?? Date.now() });
  for (let attempt = 1; ; attempt++) {
    try {
      const { duplicate } = await sendEvent(bus, event);
      return { id: event.id, duplicate: duplicate && attempt === 1 };
    } catch (error) {
      if (attempt === tries || !isCoded(error, 'unavailable')) throw error;
    }
  }
}
