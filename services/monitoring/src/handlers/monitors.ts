import { monitoringEvents, names } from '@millrace/contracts';
import {
  ApplyMonitorRequestSchema,
  ApplyMonitorResponseSchema,
  DeleteMonitorRequestSchema,
  DeleteMonitorResponseSchema,
  type MonitoringService,
} from '@millrace/contracts/monitoring';
import type { Versioned } from '@millrace/documents';
import { notFound, versionConflict } from '@millrace/errors';
import { draft } from '@millrace/events';
import type { Handlers } from '@millrace/rpc';
import { mutate } from '@millrace/service';
import { type Monitor, type MonitorSpec, respecify } from '../domain/monitor.ts';
import { baselineKey } from '../store/close.ts';
import { monitorKey } from '../store/keys.ts';
import { monitorMessage } from '../store/messages.ts';
import type { Context } from './context.ts';
import { expectOf, findMonitor, keyOf, pageOf } from './parse.ts';
import { toSpec } from './spec.ts';

type MonitorHandlers = Pick<
  Handlers<typeof MonitoringService>,
  'applyMonitor' | 'getMonitor' | 'listMonitors' | 'deleteMonitor'
>;

/** Monitors: apply, get, list, delete. */
export function monitorHandlers({ store, ledger, now }: Context): MonitorHandlers {
  async function apply(name: string, etag: string, spec: MonitorSpec): Promise<Versioned<Monitor>> {
    const { project, monitor: id } = names.monitor.parse(name, 'monitor.name');
    if (spec.baseline && !(await store.baselines.get(baselineKey(spec.baseline))))
      throw notFound(spec.baseline);
    const { expect } = expectOf(etag, 'monitor.etag');
    const before = await store.monitors.get(monitorKey({ project, id }));
    if (expect !== undefined && (before?.version ?? 0) !== expect) {
      throw versionConflict(name, expect, before?.version ?? 0);
    }
    const written = await store.monitors.upsert(monitorKey({ project, id }), (doc) => {
      const fresh = {
        project,
        id,
        spec,
        watermarkMs: Number.NEGATIVE_INFINITY,
        labelsMs: Number.NEGATIVE_INFINITY,
        rules: [],
      };
      const next = doc ? respecify(doc, spec) : fresh;
      const written = {
        id,
        doc: next,
        version: (before?.version ?? 0) + 1,
        createdAtMs: before?.createdAtMs ?? now(),
        updatedAtMs: now(),
      };
      const data = { monitor: monitorMessage(written) };
      return {
        doc: next,
        emit: [draft(monitoringEvents.monitorApplied, { project, resource: name, timeMs: now(), data })],
      };
    });
    return written ?? (await findMonitor(store, name));
  }

  return {
    applyMonitor: (request, context) => {
      const name = request.monitor?.name ?? '';
      const { project } = names.monitor.parse(name, 'monitor.name');
      const options = {
        ledger,
        method: context.method,
        project,
        input: ApplyMonitorRequestSchema,
        output: ApplyMonitorResponseSchema,
      };
      return mutate(options, request, async () => {
        const spec = toSpec(request.monitor!);
        return { monitor: monitorMessage(await apply(name, request.monitor?.etag ?? '', spec)) };
      });
    },
    getMonitor: async ({ name }) => ({ monitor: monitorMessage(await findMonitor(store, name)) }),
    listMonitors: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const page = await store.monitors.find({ where: { project }, ...pageOf(request) });
      return { monitors: page.items.map(monitorMessage), nextPageToken: page.next ?? '' };
    },
    deleteMonitor: (request, context) => {
      const { project } = names.monitor.parse(request.name);
      const options = {
        ledger,
        method: context.method,
        project,
        input: DeleteMonitorRequestSchema,
        output: DeleteMonitorResponseSchema,
      };
      return mutate(options, request, async () => {
        const emit = [
          draft(monitoringEvents.monitorDeleted, {
            project,
            resource: request.name,
            timeMs: now(),
            data: { monitor: request.name },
          }),
        ];
        await findMonitor(store, request.name);
        await store.monitors.remove(keyOf(request.name), { ...expectOf(request.etag), emit });
        return {};
      });
    },
  };
}
