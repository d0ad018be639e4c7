import type { Millrace } from '@millrace/sdk';

type EventLog = ReturnType<Millrace['eventLog']>;

/** The newest sequence number of a service's record; 0 when nothing happened yet. */
export async function lastSequence(log: EventLog): Promise<number> {
  const { newestSequence } = await log.listEvents({ pageSize: 1 });
  return Number(newestSequence);
}
