import type { ColumnData, ReferenceColumn } from './column.ts';
import { type ColumnVerdict, type DriftVerdict, judgeDrift } from './drift/judge.ts';
import type { Monitor, MonitorSpec } from './monitor.ts';
import type { MetricValue } from './performance.ts';
import { judgeQuality, type Quality } from './quality.ts';

/** What one window showed. */
export interface Report {
  readonly project: string;
  readonly monitor: string;
  /** As in `Monitor`: a monitor that was made again reports the same windows anew. */
  readonly again?: number;
  readonly deployment: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly rowCount: number;
  readonly judged: boolean;
  readonly reason: string;
  readonly baseline: string;
  readonly drift?: DriftVerdict;
  readonly predictionDrift?: ColumnVerdict;
  /** The mean answer of the window. */
  readonly predictionMean?: number;
  readonly quality: readonly Quality[];
  readonly versions: readonly (readonly [version: string, rows: number])[];
  readonly performance?: { readonly labelledRows: number; readonly metrics: readonly MetricValue[] };
}

/** A window's rows. */
export interface WindowRows {
  readonly startMs: number;
  readonly rowCount: number;
  /** How many of them are here, where there are more than can be judged together. */
  readonly readRows: number;
  /** What the model was given. */
  readonly inputs: readonly ColumnData[];
  /** What it answered. */
  readonly outputs: readonly ColumnData[];
  readonly versions: readonly (readonly [version: string, rows: number])[];
}

/** Judges a closed window, and gives way again and again: of a large one it takes seconds. */
export function* makeReport(
  monitor: Pick<Monitor, 'project' | 'id' | 'again' | 'spec'>,
  rows: WindowRows,
  references: readonly ReferenceColumn[],
): Generator<undefined, Report> {
  const { spec } = monitor;
  const quality = judgeQuality(rows.inputs, references);
  yield;
  const { lengthMs, minRows } = spec.window;
  const score = spec.prediction?.column;
  const values = rows.outputs.find((column) => column.name === score);
  const base = {
    project: monitor.project,
    monitor: monitor.id,
    ...(monitor.again ? { again: monitor.again } : {}),
    deployment: spec.deployment,
    startMs: rows.startMs,
    endMs: rows.startMs + lengthMs,
    rowCount: rows.rowCount,
    baseline: spec.baseline,
    quality,
    versions: rows.versions,
    ...(values?.kind === 'number' ? meanOf(values.values) : {}),
  };
  if (rows.rowCount < minRows) {
    return {
      ...base,
      judged: false,
      reason: `${rows.rowCount} rows; at least ${minRows} are needed to judge`,
    };
  }
  if (references.length === 0)
    return { ...base, judged: false, reason: 'the monitor has no baseline to compare with' };
  const features = references.filter((reference) => reference.column !== score);
  const drift = yield* judgeDrift(features, rows.inputs, spec.drift);
  const predictions = score === undefined ? undefined : yield* judgePrediction(score, rows, references, spec);
  const drifted = drift.columns.filter((column) => column.drifted).length;
  const part = rows.readRows < rows.rowCount ? `of the first ${rows.readRows} rows: ` : '';
  const reason = `${part}${drifted} of ${drift.columns.length} columns drifted; from ${spec.drift.share * 100} % on the data has`;
  return { ...base, judged: true, reason, drift, ...(predictions ? { predictionDrift: predictions } : {}) };
}

/** Predictions are judged by themselves, whatever columns the drift rule names. */
function* judgePrediction(
  score: string,
  rows: WindowRows,
  references: readonly ReferenceColumn[],
  spec: MonitorSpec,
): Generator<undefined, ColumnVerdict | undefined> {
  const reference = references.filter((column) => column.column === score);
  const { columns } = yield* judgeDrift(reference, rows.outputs, { ...spec.drift, columns: [] });
  return columns[0];
}

/**
 * The value a rule looks at; undefined when the report does not have it (yet). `performance.<m>.change` is against the
 * baseline's metric of that name.
 */
export function metricOf(
  report: Report,
  metric: string,
  baseline: readonly MetricValue[],
): number | undefined {
  const [area = '', ...rest] = metric.split('.');
  const name = rest.join('.');
  if (area === 'drift' && report.drift) {
    if (name === 'share') return report.drift.share;
    if (name === 'columns') return report.drift.columns.filter((column) => column.drifted).length;
    return report.drift.columns.find((column) => `column.${column.column}` === name)?.statistic;
  }
  if (area === 'prediction')
    return name === 'mean' ? report.predictionMean : report.predictionDrift?.statistic;
  if (area === 'quality') return qualityMetric(report, name);
  if (area === 'performance' && report.performance) {
    const found = (key: string) => report.performance?.metrics.find(([k]) => k === key)?.[1];
    if (!name.endsWith('.change')) return found(name);
    const key = name.slice(0, -'.change'.length);
    const [now, then] = [found(key), baseline.find(([k]) => k === key)?.[1]];
    return now === undefined || then === undefined ? undefined : now - then;
  }
  return undefined;
}

/** What is wrong with a rule's metric; undefined when it is one of the documented ones. */
export function metricFault(metric: string): string | undefined {
  const known =
    /^(drift\.(share|columns|column\..+)|prediction\.(drift|mean)|quality\.(rows|(nulls|out_of_range|new_categories)\..+)|performance\..+)$/;
  return known.test(metric) ? undefined : `${JSON.stringify(metric.slice(0, 80))} is no metric of a report`;
}

/**
 * Whether a rule may decide on a report: too few rows say nothing but how many they are. Without a baseline the metrics
 * that need one have no value, and the others are decided on.
 */
export function mayDecide(report: Report, metric: string, minRows: number): boolean {
  return report.rowCount >= minRows || metric === 'quality.rows' || needsLabels(metric);
}

/** Whether a metric is only known when ground truth has come. */
export function needsLabels(metric: string): boolean {
  return metric.startsWith('performance.');
}

function qualityMetric(report: Report, name: string): number | undefined {
  if (name === 'rows') return report.rowCount;
  // Only a baseline tells what is out of range or new.
  if (report.baseline === '' && !name.startsWith('nulls.')) return undefined;
  const dot = name.indexOf('.');
  const row = report.quality.find((quality) => quality.column === name.slice(dot + 1));
  const shares = {
    nulls: row?.nullShare,
    out_of_range: row?.outOfRangeShare,
    new_categories: row?.newCategoryShare,
  };
  return shares[name.slice(0, dot) as keyof typeof shares];
}

/** The mean of the answers there are. */
function meanOf(values: Float64Array): { readonly predictionMean?: number } {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return {};
  return { predictionMean: known.reduce((sum, value) => sum + value, 0) / known.length };
}
