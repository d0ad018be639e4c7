import { DeliverPolicy } from '@nats-io/jetstream';
import type { ReadOptions, StoredMessage } from '../port.ts';
import type { Link } from './bus.ts';
import { natsError } from './failures.ts';
import { readHeaders } from './headers.ts';
import { readState } from './streams.ts';

/** Reads what a stream holds now, in order, by a consumer that leaves no trace. */
export async function* read(
  link: Link,
  stream: string,
  options: ReadOptions = {},
): AsyncIterable<StoredMessage> {
  const state = await readState(await link.manager(), stream);
  const last = state?.last ?? 0;
  if (!state || state.messages === 0 || (options.from ?? 0) > last) return;
  try {
    const client = await link.jetstream();
    const consumer = await client.consumers.get(stream, {
      ...(options.subjects ? { filter_subjects: [...options.subjects] } : {}),
      ...(options.from ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: options.from } : {}),
      headers_only: options.headersOnly ?? false,
      inactive_threshold: 30_000,
    });
    if ((await consumer.info()).num_pending === 0) return;
    const messages = await consumer.consume({ max_messages: 1_000 });
    for await (const message of messages) {
      const { subject, data, seq, time } = message;
      if (seq <= last) yield { subject, headers: readHeaders(() => message.headers), data, seq, time };
      if (message.seq >= last || message.info.pending === 0) return;
    }
  } catch (error) {
    throw natsError(`reading stream ${stream}`, error);
  }
}
