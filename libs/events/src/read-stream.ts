import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import type { Bus } from './bus.ts';
import { natsError } from './failures.ts';
import { readStreamInfo } from './stream.ts';

export interface ReadOptions {
  readonly subjects?: readonly string[];
  /** The first position in the stream. @default the oldest */
  readonly from?: number;
  /** Leaves the data out. @default false */
  readonly headersOnly?: boolean;
}

/** Reads what a stream holds now, in order, and ends. A stream that does not exist holds nothing. */
export async function* readStream(bus: Bus, stream: string, options: ReadOptions = {}): AsyncIterable<JsMsg> {
  const info = await readStreamInfo(await bus.manager(), stream);
  const last = info?.state.last_seq ?? 0;
  if (!info || info.state.messages === 0 || (options.from ?? 0) > last) return;
  try {
    const client = await bus.jetstream();
    const consumer = await client.consumers.get(stream, {
      ...(options.subjects ? { filter_subjects: [...options.subjects] } : {}),
      ...(options.from ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: options.from } : {}),
      headers_only: options.headersOnly ?? false,
      inactive_threshold: 30_000,
    });
    if ((await consumer.info()).num_pending === 0) return;
    const messages = await consumer.consume({ max_messages: 1_000 });
    for await (const message of messages) {
      if (message.seq <= last) yield message;
      if (message.seq >= last || message.info.pending === 0) return;
    }
  } catch (error) {
    throw natsError(`reading stream ${stream}`, error);
  }
}
