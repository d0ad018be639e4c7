import { timestampMs } from '@bufbuild/protobuf/wkt';
import { monitoringEvents, names } from '@millrace/contracts';
import {
  AlertState,
  CloseWindowsRequestSchema,
  CloseWindowsResponseSchema,
  type MonitoringService,
} from '@millrace/contracts/monitoring';
import { notFound } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { mutate, pageOf, watchEvents } from '@millrace/service';
import { closeWindows } from '../store/close.ts';
import { alertStateTable } from '../store/enums.ts';
import { monitorKey, reportKey } from '../store/keys.ts';
import { alertMessage, reportMessage } from '../store/messages.ts';
import type { Context } from './context.ts';
import { findMonitor, keyOf } from './parse.ts';

type ReportHandlers = Pick<
  Handlers<typeof MonitoringService>,
  'closeWindows' | 'getReport' | 'listReports' | 'watchReports' | 'listAlerts'
>;

/** Reports and alarms. */
export function reportHandlers({ store, ledger, now }: Context): ReportHandlers {
  async function findReport(name: string) {
    const { project, monitor, report } = names.report.parse(name);
    if (!/^(0|-?[1-9]\d{0,14})(-[1-9]\d{0,8})?$/.test(report)) throw notFound(name);
    const found = await store.reports.get(reportKey(monitorKey({ project, id: monitor }), report));
    if (!found) throw notFound(name);
    return found;
  }

  return {
    closeWindows: (request, { method }) => {
      const { project } = names.monitor.parse(request.name);
      const options = {
        ledger,
        method,
        project,
        input: CloseWindowsRequestSchema,
        output: CloseWindowsResponseSchema,
      };
      return mutate(options, request, async () => {
        await findMonitor(store, request.name);
        const untilMs = timestampMs(request.until!);
        const due = (monitor: { spec: { window: { lengthMs: number } } }, startMs: number) =>
          startMs + monitor.spec.window.lengthMs <= untilMs;
        return { reports: await closeWindows(store, keyOf(request.name), now, due) };
      });
    },
    getReport: async ({ name }) => ({ report: reportMessage(await findReport(name)) }),
    listReports: async (request) => {
      const monitor = keyOf(request.parent, 'parent');
      const orderBy = [{ field: 'startMs', direction: 'desc' }] as const;
      const page = await store.reports.find({ where: { monitor }, orderBy, ...pageOf(request) });
      return { reports: page.items.map(reportMessage), nextPageToken: page.next ?? '' };
    },
    async *watchReports(request, { signal }) {
      const { doc } = await findMonitor(store, request.parent, 'parent');
      const prefix = `${names.monitor.format({ project: doc.project, monitor: doc.id })}/reports/`;
      const types = [monitoringEvents.reportCreated.type, monitoringEvents.performanceMeasured.type];
      for await (const event of watchEvents(store.documents, {
        signal,
        types,
        project: doc.project,
      })) {
        if (!event.resource.startsWith(prefix)) continue;
        yield { report: reportMessage(await findReport(event.resource)) };
      }
    },
    listAlerts: async (request) => {
      const monitor = keyOf(request.parent, 'parent');
      const state =
        request.state === AlertState.UNSPECIFIED ? undefined : alertStateTable.fromWire(request.state);
      const orderBy = [{ field: 'raisedMs', direction: 'desc' }] as const;
      const page = await store.alerts.find({
        where: { monitor, ...(state ? { state } : {}) },
        orderBy,
        ...pageOf(request),
      });
      return {
        alerts: page.items.map(({ doc, version }) => alertMessage(doc, version)),
        nextPageToken: page.next ?? '',
      };
    },
  };
}
