import { fromBinary } from '@bufbuild/protobuf';
import { trackingEvents } from '@millrace/contracts';
import type { DocumentStore } from '@millrace/documents';
import type { Job } from '@millrace/service';
import type { Batches } from './store/batches.ts';

const { metricsLogged } = trackingEvents;
const cursor = 'settle-metrics';
const eventsAtOnce = 500;
/** Younger batches are still being noted by the call that logged them. */
const graceMs = 10_000;

/**
 * Follows the log of batches and makes sure that each one's latest points are on its run, in case the process ended
 * between the two writes. Every replica may do it: noting again changes nothing.
 */
export function settleMetrics(documents: DocumentStore, batches: Batches, now: () => number): Job {
  const { events, cursors } = documents;
  return {
    name: 'settle-metrics',
    everyMs: 5000,
    async run(signal) {
      for (;;) {
        const after = await cursors.get(cursor);
        const last = await events.last();
        const page = await events.read({ after, limit: eventsAtOnce, types: [metricsLogged.type] });
        for (const event of page) {
          if (signal.aborted || event.timeMs > now() - graceMs) return;
          await batches.settle(fromBinary(metricsLogged.schema, event.data).batch);
          await cursors.set(cursor, event.sequence);
        }
        if (page.length > 0) continue;
        // No batch up to here: what lies between is of no interest.
        if (last > after) await cursors.set(cursor, last);
        return;
      }
    },
  };
}
