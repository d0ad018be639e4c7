import { fromBinary } from '@bufbuild/protobuf';
import { trackingEvents } from '@millrace/contracts';
import type { TrackingService } from '@millrace/contracts/tracking';
import type { DocumentStore } from '@millrace/documents';
import type { Handlers } from '@millrace/rpc';
import { watchEvents } from '@millrace/service';
import { fromColumns } from '../domain/columns.ts';
import { runName, toMetric, toRun } from '../messages.ts';
import type { TrackingStore } from '../store/open.ts';
import { parseRun } from './request.ts';

const metricsLogged = trackingEvents.metricsLogged;
/** The events after which a run looks different. */
const runTypes = [
  trackingEvents.runUpdated,
  trackingEvents.runFinished,
  trackingEvents.runDeleted,
  trackingEvents.runRestored,
  metricsLogged,
].map(({ type }) => type);

export function watchHandlers(
  { runs, batches }: TrackingStore,
  documents: DocumentStore,
): Pick<Handlers<typeof TrackingService>, 'watchRun' | 'watchMetrics'> {
  return {
    async *watchRun(request, { signal }) {
      const { project, id } = parseRun(request.name, 'name');
      // The place in the log is taken before the run is read, so that nothing falls between the two.
      const after = await documents.events.last();
      const first = await runs.get(project, id);
      yield { run: toRun(first) };
      let { version } = first;
      for await (const event of watchEvents(documents, { signal, after, project, types: runTypes })) {
        if (event.resource !== runName(project, id)) continue;
        // The event of a batch is recorded with the batch, a moment before the run shows its points.
        if (event.type === metricsLogged.type)
          await batches.settle(fromBinary(metricsLogged.schema, event.data).batch);
        const found = await runs.get(project, id);
        if (found.version <= version) continue;
        version = found.version;
        yield { run: toRun(found) };
      }
    },

    async *watchMetrics(request, { signal }) {
      const { project, id } = parseRun(request.name, 'name');
      const after = await documents.events.last();
      await runs.get(project, id);
      const keys = request.keys.length > 0 ? new Set(request.keys) : undefined;
      const types = [metricsLogged.type];
      for await (const event of watchEvents(documents, { signal, after, project, types })) {
        if (event.resource !== runName(project, id)) continue;
        const found = await batches.get(fromBinary(metricsLogged.schema, event.data).batch);
        const points = found ? fromColumns(found.doc, keys) : [];
        if (points.length > 0) yield { points: points.map(toMetric) };
      }
    },
  };
}
