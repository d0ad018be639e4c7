import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { monitoringEvents, names } from '@millrace/contracts';
import type { EventDraft } from '@millrace/documents';
import { draft } from '@millrace/events';
import type { Report } from '../domain/report.ts';
import type { AlertDoc } from './collections.ts';
import { parseMonitorKey, reportId } from './keys.ts';
import { alertMessage } from './messages.ts';

/** Most reasons in one event; the report has all. */
const maxReasons = 20;
const maxColumns = 100;

/** The full name of a report. */
export function reportName(report: Report): string {
  return names.report.format({
    project: report.project,
    monitor: report.monitor,
    report: reportId(report),
  });
}

/** What a new report tells: that it is there, and that the data drifted if it did. */
export function reportDrafts(report: Report, timeMs: number): EventDraft[] {
  const { project } = report;
  const resource = reportName(report);
  const base = {
    report: resource,
    monitor: names.monitor.format({ project, monitor: report.monitor }),
    deployment: report.deployment,
    windowEnd: timestampFromMs(report.endMs),
  };
  const drifted = (report.drift?.columns ?? []).filter((column) => column.drifted);
  const created = draft(monitoringEvents.reportCreated, {
    project,
    resource,
    timeMs,
    data: {
      ...base,
      windowStart: timestampFromMs(report.startMs),
      rowCount: BigInt(report.rowCount),
      driftShare: report.drift?.share ?? 0,
      driftedColumns: drifted.slice(0, maxColumns).map((column) => column.column),
    },
  });
  if (!report.drift?.drifted) return [created];
  const reasons = [...drifted].sort((a, b) => b.statistic - a.statistic).map((column) => column.reason);
  const detected = draft(monitoringEvents.driftDetected, {
    project,
    resource,
    timeMs,
    data: { ...base, share: report.drift.share, reasons: reasons.slice(0, maxReasons) },
  });
  return [created, detected];
}

/** What ground truth made known of a window. */
export function performanceDraft(report: Report, timeMs: number): EventDraft[] {
  const { project, performance } = report;
  if (!performance) return [];
  const resource = reportName(report);
  const data = {
    report: resource,
    monitor: names.monitor.format({ project, monitor: report.monitor }),
    deployment: report.deployment,
    windowEnd: timestampFromMs(report.endMs),
    labelledRows: BigInt(performance.labelledRows),
    metrics: performance.metrics.map(([key, value]) => ({ key, value })),
  };
  return [draft(monitoringEvents.performanceMeasured, { project, resource, timeMs, data })];
}

/** That an alarm was raised or resolved. */
export function alertDraft(alert: AlertDoc, version: number, timeMs: number): EventDraft {
  const { project, id } = parseMonitorKey(alert.monitor);
  const message = alertMessage(alert, version);
  const data = { alert: message, monitor: names.monitor.format({ project, monitor: id }) };
  const input = { project, resource: message.name ?? '', timeMs, data };
  return alert.state === 'raised'
    ? draft(monitoringEvents.alertRaised, input)
    : draft(monitoringEvents.alertResolved, input);
}
