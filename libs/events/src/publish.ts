import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import type { EventType } from '@millrace/contracts';
import type { EventDraft } from '@millrace/documents';
import { isCoded } from '@millrace/errors';
import { systemClock } from './clock.ts';
import { encodeHeaders } from './cloud-events.ts';
import { draft } from './draft.ts';
import type { Sent, Streams } from './port.ts';

/** The subject of an event: `millrace.<project>.<context>.<entity>.<event>.v<n>`. */
export function subjectOfDraft(event: Pick<EventDraft, 'type' | 'project'>): string {
  return `millrace.${event.project}.${event.type.replace(/^millrace\./, '')}`;
}

export interface SendOptions {
  /** @default 5000 */
  readonly timeoutMs?: number;
  /** The de-duplication id. @default the event's id */
  readonly messageId?: string;
  /** The id of the message that it must follow at once; else OUT_OF_ORDER. @default none */
  readonly after?: string | undefined;
}

/**
 * Publishes a recorded event once and waits until the stream has it. A time-out means that it is not known: publish
 * again with the same id, and the stream keeps one copy. Throws `unavailable` and OUT_OF_ORDER.
 */
export function sendEvent(
  bus: Pick<Streams, 'send'>,
  event: EventDraft & { readonly sequence?: number },
  options: SendOptions = {},
): Promise<Sent> {
  return bus.send({
    subject: subjectOfDraft(event),
    headers: encodeHeaders({ ...event, sequence: event.sequence ?? 0 }),
    data: event.data,
    id: options.messageId ?? event.id,
    ...(options.after === undefined ? {} : { after: options.after }),
    ...(options.timeoutMs ? { timeoutMs: options.timeoutMs } : {}),
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
/** The longest wait after the first try; it doubles after each. */
const pauseMs = 200;

/**
 * Publishes a fact that comes from outside and stands in no document of ours. What a service changes itself is
 * emitted with its document instead, so that it cannot be lost. Throws `unavailable` when the stream did not confirm
 * it after three tries; it may have it none the less.
 */
export async function publish<S extends DescMessage>(
  bus: Pick<Streams, 'send'>,
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
      await systemClock.sleep(pauseMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2));
    }
  }
}
