import { type Context, streamOf } from '@millrace/contracts';
import type { RecordedEvent } from '@millrace/documents';
import { unavailable } from '@millrace/errors';
import { decodeHeaderValue } from '../percent.ts';
import type { Streams } from '../port.ts';
import { type SendOptions, sendEvent } from '../publish.ts';

/**
 * Publishes a recorded event until the stream has it, and tells where. A server may still know the id of a message
 * that it lost, and say "duplicate" of what is not there; then another de-duplication id lets it in. `requireSame` is
 * asked before each try whether the stream is the one that was looked at. Throws `unavailable` and OUT_OF_ORDER.
 */
export async function deliver(
  bus: Pick<Streams, 'send' | 'readMessage'>,
  context: Context,
  event: RecordedEvent,
  requireSame: () => void,
  options: Pick<SendOptions, 'timeoutMs' | 'after'> = {},
): Promise<{ readonly seq: number; readonly fresh: boolean }> {
  const { name } = streamOf(context);
  let messageId = event.id;
  for (let place = 0; ; ) {
    requireSame();
    const { seq, duplicate } = await sendEvent(bus, event, { ...options, messageId });
    if (!duplicate) return { seq, fresh: true };
    const held = await bus.readMessage(name, seq);
    if (decodeHeaderValue(held?.headers?.get('ce-id') ?? '') === event.id) return { seq, fresh: false };
    if (seq === place) throw unavailable(`stream ${name} says that event ${event.sequence} is at ${seq}; it`);
    place = seq;
    messageId = `${event.id}:refill:${seq}`;
  }
}
