import {
  type ColumnDrift,
  DriftMethod,
  type Monitor,
  MonitorSchema,
  type Report,
  ReportSchema,
  ReportState,
} from '@millrace/contracts/monitoring';
import { notFound } from '@millrace/errors';
import { command } from '../command.ts';
import { gather, nameIn, withSuite } from '../session.ts';
import { ago, enumName, lastOf, number, span, timestampMs } from '../show/format.ts';
import type { Output } from '../show/output.ts';

export const drift = command({
  summary: 'Shows the newest report of a monitor: drift of each column, and performance',
  args: ['[MONITOR]'],
  options: {
    list: { type: 'boolean', meaning: 'List the monitors, or the reports of the one that is named.' },
  },
  run: ({ args, options, globals, out }) =>
    withSuite(globals, async ({ monitoring, parent }) => {
      if (!args[0]) {
        const found = await gather(10_000, async (pageSize, pageToken) => {
          const page = await monitoring.listMonitors({ parent, pageSize, pageToken });
          return { items: page.monitors, nextPageToken: page.nextPageToken };
        });
        out.list(MonitorSchema, found, monitorColumns(Date.now()), 'There are no monitors yet.');
        return 0;
      }
      const name = nameIn.monitor(globals.project, args[0]);
      const { reports } = await monitoring.listReports({ parent: name, pageSize: options.list ? 100 : 1 });
      if (options.list) {
        out.list(ReportSchema, reports, reportColumns, 'There are no reports yet: no window has closed.');
        return 0;
      }
      const newest = reports[0];
      if (!newest) {
        await monitoring.getMonitor({ name });
        throw notFound(`a report of ${name}: no window has closed yet, so it`);
      }
      const { report } = await monitoring.getReport({ name: newest.name });
      if (report) out.item(ReportSchema, report, () => show(report, out));
      return 0;
    }),
});

const day = (time: Report['windowStart']) =>
  time ? new Date(timestampMs(time)).toISOString().slice(0, 16).replace('T', ' ') : '-';

function monitorColumns(nowMs: number) {
  return [
    { title: 'monitor', value: (one: Monitor) => lastOf(one.name) },
    { title: 'deployment', value: (one: Monitor) => lastOf(one.deployment) },
    { title: 'window', value: (one: Monitor) => span(Number(one.window?.length?.seconds ?? 0) * 1000) },
    { title: 'rules', value: (one: Monitor) => String(one.alertRules.length), align: 'right' as const },
    { title: 'seen until', value: (one: Monitor) => day(one.watermark) },
    { title: 'changed', value: (one: Monitor) => ago(one.updateTime, nowMs) },
  ];
}

const reportColumns = [
  { title: 'window', value: (one: Report) => `${day(one.windowStart)} … ${day(one.windowEnd)}` },
  { title: 'rows', value: (one: Report) => String(one.rowCount), align: 'right' as const },
  { title: 'state', value: (one: Report) => enumName(ReportState, one.state) },
  { title: 'drift', value: (one: Report) => (one.drift ? (one.drift.drifted ? 'yes' : 'no') : '') },
  {
    title: 'columns',
    value: (one: Report) => (one.drift ? `${one.drift.driftedColumns} of ${one.drift.columns.length}` : ''),
  },
  { title: 'performance', value: performanceOf, shrink: true },
];

function performanceOf({ performance }: Report): string {
  return performance?.metrics.map(({ key, value }) => `${key} ${number(value)}`).join(', ') ?? '';
}

function show(report: Report, out: Output): void {
  const { drift: found, predictionDrift, performance } = report;
  out.fields([
    ['window', `${day(report.windowStart)} … ${day(report.windowEnd)} UTC`],
    ['rows', String(report.rowCount)],
    ['state', `${enumName(ReportState, report.state)}${report.reason ? `: ${report.reason}` : ''}`],
    [
      'versions',
      report.versions.map((one) => `${lastOf(one.modelVersion)} (${one.rowCount} rows)`).join(', '),
    ],
    ['baseline', lastOf(report.baseline)],
  ]);
  if (found) {
    const share = `${found.driftedColumns} of ${found.columns.length} columns`;
    out.line();
    out.line(
      found.drifted ? out.bad(`The data has drifted: ${share}.`) : out.good(`No drift: ${share} drifted.`),
    );
  }
  const columns = [...(found?.columns ?? []), ...(predictionDrift ? [predictionDrift] : [])];
  if (columns.length > 0) {
    out.line();
    out.table(columns, [
      {
        title: 'column',
        value: (one) => (one === predictionDrift ? `${one.column} (prediction)` : one.column),
      },
      { title: 'method', value: (one) => enumName(DriftMethod, one.method) },
      { title: 'statistic', value: (one) => number(one.statistic), align: 'right' },
      { title: 'p', value: (one) => (one.pValue === undefined ? '' : number(one.pValue)), align: 'right' },
      { title: 'threshold', value: (one) => number(one.threshold), align: 'right' },
      { title: 'verdict', value: (one: ColumnDrift) => (one.drifted ? 'drifted' : 'same') },
      { title: 'why', value: (one) => one.reason, shrink: true },
    ]);
  }
  if (!performance) return;
  out.line();
  out.line(`Performance on ${performance.labelledRows} rows whose truth is known`);
  out.table(performance.metrics, [
    { title: 'metric', value: (one) => one.key },
    { title: 'value', value: (one) => number(one.value), align: 'right' },
  ]);
}
