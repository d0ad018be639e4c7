import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { ColumnType } from '@millrace/contracts/common';
import {
  type AlertSchema,
  type BaselineSchema,
  type ColumnDriftSchema,
  type ColumnSummarySchema,
  type MonitorSchema,
  type ReportSchema,
  ReportState,
} from '@millrace/contracts/monitoring';
import type { Versioned } from '@millrace/documents';
import type { ColumnProfile } from '../domain/column.ts';
import type { ColumnVerdict } from '../domain/drift/judge.ts';
import type { Monitor } from '../domain/monitor.ts';
import type { Report } from '../domain/report.ts';
import type { AlertDoc, BaselineDoc } from './collections.ts';
import {
  alertStateTable,
  comparisonTable,
  correctionTable,
  methodTable,
  severityTable,
  taskTable,
} from './enums.ts';
import { parseMonitorKey } from './keys.ts';

/** Domain → wire, one function for each resource. */

export function monitorMessage(doc: Monitor): MessageInitShape<typeof MonitorSchema> {
  const { spec } = doc;
  const { drift, window, prediction } = spec;
  return {
    name: names.monitor.format({ project: doc.project, monitor: doc.id }),
    deployment: spec.deployment,
    baseline: spec.baseline,
    window: {
      length: durationFromMs(window.lengthMs),
      offset: durationFromMs(window.offsetMs),
      lateness: durationFromMs(window.latenessMs),
      minRows: window.minRows,
      labelDelay: durationFromMs(window.labelDelayMs),
      ...(window.idleMs === undefined ? {} : { idleTimeout: durationFromMs(window.idleMs) }),
    },
    drift: {
      columns: [...drift.columns],
      ...(drift.method ? { method: methodTable.toWire(drift.method) } : {}),
      ...(drift.threshold === undefined ? {} : { threshold: drift.threshold }),
      overrides: drift.overrides.map(({ column, method, threshold }) => ({
        column,
        method: methodTable.toWire(method),
        ...(threshold === undefined ? {} : { threshold }),
      })),
      share: drift.share,
      correction: correctionTable.toWire(drift.correction),
    },
    ...(prediction ? { prediction: { ...prediction, task: taskTable.toWire(prediction.task) } } : {}),
    alertRules: spec.rules.map((rule) => ({
      ...rule,
      comparison: comparisonTable.toWire(rule.comparison),
      severity: severityTable.toWire(rule.severity),
    })),
    paused: spec.paused,
    description: spec.description,
    tags: spec.tags.map(([key, value]) => ({ key, value })),
    ...(doc.watermarkMs > Number.NEGATIVE_INFINITY
      ? { watermark: timestampFromMs(Math.floor(doc.watermarkMs)) }
      : {}),
    etag: String(doc.revision),
    createTime: timestampFromMs(doc.createdMs),
    updateTime: timestampFromMs(doc.appliedMs),
  };
}

export function baselineMessage(
  found: Versioned<BaselineDoc>,
  full: boolean,
): MessageInitShape<typeof BaselineSchema> {
  const { doc } = found;
  const columns = doc.columns.map(({ sampleBytes: _, ...profile }) => summaryMessage(profile));
  return {
    name: names.baseline.format({ project: doc.project, baseline: doc.id }),
    source: doc.source,
    rowCount: BigInt(doc.rowCount),
    columns: full ? columns : columns.map((column) => ({ ...column, bins: [], categories: [] })),
    metrics: doc.metrics.map(([key, value]) => ({ key, value })),
    createTime: timestampFromMs(doc.createdMs),
    etag: String(found.version),
  };
}

export function reportMessage({
  doc,
  version,
  createdAtMs,
  updatedAtMs,
}: Versioned<Report>): MessageInitShape<typeof ReportSchema> {
  const { drift, predictionDrift, performance } = doc;
  return {
    name: names.report.format({
      project: doc.project,
      monitor: doc.monitor,
      report: String(doc.startMs / 1000),
    }),
    windowStart: timestampFromMs(doc.startMs),
    windowEnd: timestampFromMs(doc.endMs),
    rowCount: BigInt(doc.rowCount),
    state: doc.judged ? ReportState.COMPLETE : ReportState.INSUFFICIENT_DATA,
    reason: doc.reason,
    ...(drift
      ? {
          drift: {
            drifted: drift.drifted,
            share: drift.share,
            driftedColumns: drift.columns.filter((column) => column.drifted).length,
            columns: drift.columns.map(driftMessage),
          },
        }
      : {}),
    ...(predictionDrift ? { predictionDrift: driftMessage(predictionDrift) } : {}),
    quality: doc.quality.map((quality) => ({ ...quality, newCategories: [...quality.newCategories] })),
    ...(performance
      ? {
          performance: {
            labelledRows: BigInt(performance.labelledRows),
            metrics: performance.metrics.map(([key, value]) => ({ key, value })),
          },
        }
      : {}),
    baseline: doc.baseline,
    versions: doc.versions.map(([modelVersion, rows]) => ({ modelVersion, rowCount: BigInt(rows) })),
    createTime: timestampFromMs(createdAtMs),
    updateTime: timestampFromMs(updatedAtMs),
    etag: String(version),
  };
}

export function alertMessage(doc: AlertDoc, version: number): MessageInitShape<typeof AlertSchema> {
  const { project, id: monitor } = parseMonitorKey(doc.monitor);
  return {
    name: names.alert.format({ project, monitor, alert: doc.id }),
    rule: doc.rule,
    state: alertStateTable.toWire(doc.state),
    severity: severityTable.toWire(doc.severity),
    reason: doc.reason,
    value: doc.value,
    threshold: doc.threshold,
    raisedBy: doc.raisedBy,
    resolvedBy: doc.resolvedBy,
    raiseTime: timestampFromMs(doc.raisedMs),
    ...(doc.state === 'resolved' ? { resolveTime: timestampFromMs(doc.resolvedMs) } : {}),
    deployment: doc.deployment,
    windowEnd: timestampFromMs(doc.windowEndMs),
    etag: String(version),
  };
}

function driftMessage(verdict: ColumnVerdict): MessageInitShape<typeof ColumnDriftSchema> {
  const { method, current, reference, ...rest } = verdict;
  return {
    ...rest,
    method: methodTable.toWire(method),
    current: summaryMessage(current),
    reference: summaryMessage(reference),
  };
}

function summaryMessage(profile: ColumnProfile): MessageInitShape<typeof ColumnSummarySchema> {
  const { column, kind, count, nulls, distinct, edges = [], binCounts = [], categories = [] } = profile;
  const { min, max, mean, stddev } = profile;
  return {
    column,
    type: kind === 'number' ? ColumnType.DOUBLE : ColumnType.STRING,
    count: BigInt(count),
    nulls: BigInt(nulls),
    distinct: BigInt(distinct),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(mean === undefined ? {} : { mean }),
    ...(stddev === undefined ? {} : { stddev }),
    bins: edges.map((upper, i) => ({ upper, count: BigInt(binCounts[i] ?? 0) })),
    categories: categories.map(([value, n]) => ({ value, count: BigInt(n) })),
  };
}
