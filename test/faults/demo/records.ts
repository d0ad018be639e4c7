import { type Context, catalogue } from '@millrace/contracts';
import type { RecordedEvent } from '@millrace/contracts/common';
import { connectBus, tail } from '@millrace/events';
import type { Millrace } from '@millrace/sdk';
import { insist } from '../insist.ts';

const contexts: readonly Context[] = [
  'tracking',
  'registry',
  'features',
  'pipelines',
  'serving',
  'monitoring',
];

/** Every event that a service has recorded, in order. */
export async function readRecord(
  millrace: Millrace,
  context: Context,
  types: readonly string[] = [],
): Promise<readonly RecordedEvent[]> {
  const log = millrace.eventLog(context);
  const events: RecordedEvent[] = [];
  for (let afterSequence = 0n; ; ) {
    const request = { afterSequence, types: [...types], pageSize: 200 };
    // A channel takes some seconds to come back to a service that was killed.
    const page = await insist(() => log.listEvents(request));
    if (page.events.length === 0) return events;
    events.push(...page.events);
    afterSequence = page.lastSequence;
  }
}

/** How long a stream may lag behind its record, in milliseconds. */
const lagMs = 60_000;

/** Compares each stream with the record it is a copy of: what is missing, what came twice, what came out of order. */
export async function streamFaults(millrace: Millrace, natsUrl: string): Promise<Record<string, string[]>> {
  const expected = new Map<string, Map<string, number>>();
  for (const context of contexts) {
    const record = await readRecord(millrace, context);
    expected.set(context, new Map(record.map(({ id, sequence }) => [id, Number(sequence)])));
  }
  const faults = new Map(contexts.map((context) => [context as string, [] as string[]]));
  const missing = new Set([...expected.values()].flatMap((ids) => [...ids.keys()]));
  const last = new Map<string, number>();
  const seen = new Set<string>();
  const bus = await connectBus({ url: natsUrl, name: 'comparison' });
  try {
    if (missing.size > 0)
      for await (const event of tail(bus, { since: 'all', signal: AbortSignal.timeout(lagMs) })) {
        const context = catalogue.get(event.type)?.context ?? '';
        const sequence = expected.get(context)?.get(event.id);
        missing.delete(event.id);
        if (sequence !== undefined) {
          if (seen.has(event.id)) faults.get(context)?.push(`${event.type} ${sequence} came twice`);
          else if (sequence < (last.get(context) ?? 0)) faults.get(context)?.push(`${event.type} came late`);
          last.set(context, Math.max(sequence, last.get(context) ?? 0));
          seen.add(event.id);
        }
        if (missing.size === 0) break;
      }
  } finally {
    await bus.close();
  }
  for (const [context, ids] of expected)
    for (const id of missing)
      if (ids.has(id)) faults.get(context)?.push(`event ${ids.get(id)} is not in the stream`);
  return Object.fromEntries([...faults].map(([context, found]) => [context, found.slice(0, 5)]));
}
