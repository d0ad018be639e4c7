import { createRequestLedger, type DocumentStore, type EventLog } from '@millrace/documents';
import type { Relay } from '@millrace/events';
import type { Job } from './jobs.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** How long a request id is remembered. */
const ledgerMs = 7 * dayMs;
const pageSize = 500;
/** Most events looked at in one run, but for the last page; the next run goes on. */
const maxEvents = 100_000;

export interface RetentionOptions {
  readonly store: DocumentStore;
  readonly relay: Pick<Relay, 'position'>;
  readonly eventDays: number;
  now(): number;
}

/** The jobs that forget: old events that the stream has, and old request ids. */
export function retentionJobs({ store, relay, eventDays, now }: RetentionOptions): Job[] {
  const ledger = createRequestLedger(store, now);
  return [
    {
      name: 'trim events',
      everyMs: hourMs,
      run: (signal) => trimEvents(store.events, now() - eventDays * dayMs, relay.position, signal),
    },
    {
      name: 'forget request ids',
      everyMs: hourMs,
      run: async (signal) => {
        while (!signal.aborted && (await ledger.sweep(now() - ledgerMs)) > 0);
      },
    },
  ];
}

/**
 * Forgets events that happened before a time, from the oldest on, up to the first that is younger or is not published:
 * the record is what a stream is refilled from. A replica that does not relay knows of nothing published and trims nothing.
 */
export async function trimEvents(
  events: Pick<EventLog, 'first' | 'read' | 'trim'>,
  beforeMs: number,
  published: number,
  signal: AbortSignal,
): Promise<void> {
  const start = (await events.first()) - 1;
  let upTo = start;
  for (let looked = 0; looked < maxEvents && !signal.aborted; ) {
    const page = await events.read({ after: upTo, limit: pageSize });
    const keep = page.findIndex((event) => event.timeMs >= beforeMs || event.sequence > published);
    const last = page[keep < 0 ? page.length - 1 : keep - 1];
    if (last) upTo = last.sequence;
    if (keep >= 0 || page.length === 0) break;
    looked += page.length;
  }
  if (upTo > start) await events.trim(upTo);
}
