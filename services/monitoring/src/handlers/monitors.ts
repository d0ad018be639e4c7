import { monitoringEvents, names } from '@millrace/contracts';
import {
  ApplyMonitorRequestSchema,
  ApplyMonitorResponseSchema,
  DeleteMonitorRequestSchema,
  DeleteMonitorResponseSchema,
  type MonitoringService,
} from '@millrace/contracts/monitoring';
import type { WriteOptions } from '@millrace/documents';
import { isCoded, notFound, versionConflict } from '@millrace/errors';
import { draft } from '@millrace/events';
import type { Handlers } from '@millrace/rpc';
import { mutate, pageOf, versionOfEtag } from '@millrace/service';
import {
  cutsDifferently,
  droppedRules,
  type Monitor,
  type MonitorSpec,
  newMonitor,
  respecify,
} from '../domain/monitor.ts';
import { dropAlerts } from '../store/alerts.ts';
import { baselineKey, closeWindows } from '../store/close.ts';
import { monitorKey, seriesKey } from '../store/keys.ts';
import { monitorMessage } from '../store/messages.ts';
import { clearSeries, noteRemoval, timesDeleted } from '../store/removal.ts';
import type { Context } from './context.ts';
import { findMonitor } from './parse.ts';
import { toSpec } from './spec.ts';

type MonitorHandlers = Pick<
  Handlers<typeof MonitoringService>,
  'applyMonitor' | 'getMonitor' | 'listMonitors' | 'deleteMonitor'
>;

/** Makes a write happen once for a request id, also when the process dies before it answers. */
type Mark = Pick<WriteOptions, 'requestId'>;

/** Monitors: apply, get, list, delete. */
export function monitorHandlers({ store, ledger, now }: Context): MonitorHandlers {
  /** A change and the event that tells of it. */
  const applied = (doc: Monitor) => {
    const resource = names.monitor.format({ project: doc.project, monitor: doc.id });
    const data = { monitor: monitorMessage(doc) };
    const input = { project: doc.project, resource, timeMs: now(), data };
    return { doc, emit: [draft(monitoringEvents.monitorApplied, input)] };
  };

  async function apply(name: string, etag: string, spec: MonitorSpec, mark: Mark): Promise<Monitor> {
    const { project, monitor: id } = names.monitor.parse(name, 'monitor.name');
    if (spec.baseline && !(await store.baselines.get(baselineKey(spec.baseline))))
      throw notFound(spec.baseline);
    const expected = versionOfEtag(etag, 'monitor.etag');
    const key = monitorKey({ project, id });
    const before = (await store.monitors.get(key))?.doc;
    checkRevision(name, expected, before?.revision ?? 0);
    try {
      if (!before) {
        const { doc, emit } = applied(newMonitor(project, id, spec, now(), await timesDeleted(store, key)));
        return (await store.monitors.insert(key, doc, { emit, ...mark })).doc;
      }
      if (cutsDifferently(before.spec, spec)) await closeWindows(store, key, now, () => true);
      await dropAlerts(store, before, droppedRules(before, spec), now());
      const decide = (doc: Monitor) => {
        checkRevision(name, expected, doc.revision);
        return applied(respecify(doc, spec, now()));
      };
      const written = await store.monitors.change(key, decide, mark);
      return written.doc;
    } catch (error) {
      // It was made, or deleted, at the same time: look again.
      if (isCoded(error, before ? 'not_found' : 'already_exists')) return apply(name, etag, spec, mark);
      throw error;
    }
  }

  async function remove(name: string, etag: string, id: string): Promise<void> {
    const expected = versionOfEtag(etag);
    const { project, monitor } = names.monitor.parse(name);
    const found = await findMonitor(store, name);
    checkRevision(name, expected, found.doc.revision);
    const data = { monitor: names.monitor.format({ project, monitor }) };
    const emit = [
      draft(monitoringEvents.monitorDeleted, { id, project, resource: data.monitor, timeMs: now(), data }),
    ];
    // Noted first: whatever happens next, its windows are removed, now or by the job.
    await noteRemoval(store, found.doc);
    try {
      await store.monitors.remove(found.id, { expect: found.version, emit });
    } catch (error) {
      // Rows came in meanwhile; that is no change of the monitor.
      if (isCoded(error, 'aborted')) return remove(name, etag, id);
      throw error;
    }
    await clearSeries(store, seriesKey(found.doc));
  }

  return {
    applyMonitor: (request, { method }) => {
      const name = request.monitor?.name ?? '';
      const { project } = names.monitor.parse(name, 'monitor.name');
      const options = {
        ledger,
        method,
        project,
        input: ApplyMonitorRequestSchema,
        output: ApplyMonitorResponseSchema,
      };
      return mutate(options, request, async ({ requestId }) => {
        const spec = toSpec(request.monitor!);
        const mark = requestId ? { requestId } : {};
        return { monitor: monitorMessage(await apply(name, request.monitor?.etag ?? '', spec, mark)) };
      });
    },
    getMonitor: async ({ name }) => ({ monitor: monitorMessage((await findMonitor(store, name)).doc) }),
    listMonitors: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const page = await store.monitors.find({ where: { project }, ...pageOf(request) });
      return { monitors: page.items.map(({ doc }) => monitorMessage(doc)), nextPageToken: page.next ?? '' };
    },
    deleteMonitor: (request, { method }) => {
      const { project } = names.monitor.parse(request.name);
      const options = {
        ledger,
        method,
        project,
        input: DeleteMonitorRequestSchema,
        output: DeleteMonitorResponseSchema,
      };
      return mutate(options, request, async ({ id }) => {
        await remove(request.name, request.etag, id);
        return {};
      });
    },
  };
}

function checkRevision(name: string, expected: number | undefined, actual: number): void {
  if (expected !== undefined && expected !== actual) throw versionConflict(name, expected, actual);
}
