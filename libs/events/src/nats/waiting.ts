import type { ConsumerConfig, ConsumerInfo, JetStreamManager, MsgRequest } from '@nats-io/jetstream';
import type { Waiting } from '../port.ts';
import { orUnavailable } from './failures.ts';

/** Marks a consumer that holds its stream, in its metadata. */
export const holdsKey = 'millrace-holds';

/** The subjects that a consumer wants; a single one may come back in the singular setting. */
export function filtersOf(config: ConsumerConfig): string[] {
  return [...(config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []))];
}

export function readWaiting(manager: JetStreamManager, stream: string): Promise<readonly Waiting[]> {
  return orUnavailable(`consumers of ${stream}`, async () => {
    const waiting: Waiting[] = [];
    for await (const info of manager.consumers.list(stream)) {
      if (!info.config.metadata?.[holdsKey]) continue;
      const seq = await oldestUnacknowledged(manager, stream, info);
      if (seq !== undefined) waiting.push({ durable: info.name, seq });
    }
    return waiting;
  });
}

/** The acknowledgement floor alone may be far older: it stays behind while nothing comes that the consumer wants. */
async function oldestUnacknowledged(
  manager: JetStreamManager,
  stream: string,
  { config, ack_floor }: ConsumerInfo,
): Promise<number | undefined> {
  const seq = ack_floor.stream_seq + 1;
  const found = await Promise.all(
    filtersOf(config).map((next_by_subj) => {
      // All servers from 2.10 on know it; the client's type does not.
      const request: MsgRequest & { readonly next_by_subj: string } = { seq, next_by_subj };
      return orUnavailable(`stream ${stream}`, () => manager.streams.getMessage(stream, request));
    }),
  );
  const places = found.flatMap((message) => (message ? [message.seq] : []));
  return places.length === 0 ? undefined : Math.min(...places);
}
