import { unavailable } from '@millrace/errors';
import type { ConsumerConfig, ConsumerInfo, JetStreamManager, Lister, MsgRequest } from '@nats-io/jetstream';
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
    for (const info of await listConsumers(manager, stream)) {
      if (!info.config.metadata?.[holdsKey]) continue;
      const seq = await oldestUnacknowledged(manager, stream, info);
      if (seq !== undefined) waiting.push({ durable: info.name, seq });
    }
    return waiting;
  });
}

/** All consumers of a stream. A cluster leaves out those whose leader did not answer, and names them. */
async function listConsumers(manager: JetStreamManager, stream: string): Promise<ConsumerInfo[]> {
  // The client has the answer, but its types do not say so.
  const lister: Lister<ConsumerInfo> & {
    readonly pageInfo?: { readonly missing?: readonly string[] | null };
  } = manager.consumers.list(stream);
  const found: ConsumerInfo[] = [];
  for (let page = await lister.next(); ; page = await lister.next()) {
    const missing = lister.pageInfo?.missing ?? [];
    if (missing.length > 0) throw unavailable(`consumers ${missing.join(', ')} of ${stream}`);
    if (page.length === 0) return found;
    found.push(...page);
  }
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
