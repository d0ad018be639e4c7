/**
 * Makes what the new champion learned from the baseline of the monitor. Arguments: the version's name, and its
 * metrics and the sets as JSON.
 */
import { connect, currentStep, toBatch } from '@millrace/sdk';
import { featureNames } from '../data.ts';
import type { Dataset } from '../learn/dataset.ts';
import type { Metrics } from '../learn/metrics.ts';
import { score } from '../learn/score.ts';
import { applyMonitor } from '../resources.ts';
import { downloadVersion } from './registry.ts';
import { readSet, type Sets } from './sets.ts';

/** Rows of the baseline: enough for its quantiles, few enough for one message. */
const maxRows = 20_000;

const [version = '', metricsJson = '', setsJson = ''] = process.argv.slice(2);
const metrics = JSON.parse(metricsJson) as Metrics;
const { train } = JSON.parse(setsJson) as Sets;
const step = currentStep();
const millrace = connect();

const rows = every(await readSet(millrace, train), maxRows);
const probability = await score(await downloadVersion(millrace, version), rows);
const columns = rows.columns.map(
  (values, c) => [featureNames[c] ?? '', { type: 'double' as const, values: missing(values) }] as const,
);
const batch = toBatch({
  ...Object.fromEntries(columns),
  probability: { type: 'double', values: probability },
});
const { baseline } = await millrace.monitoring.createBaseline({
  parent: millrace.parent,
  rows: { case: 'batch', value: batch },
  metrics: Object.entries(metrics).map(([key, value]) => ({ key, value })),
  requestId: step.keyFor('baseline'),
});
await applyMonitor(millrace, baseline?.name ?? '', step.keyFor('monitor'));
console.log(`${baseline?.name}: ${rows.rowCount} rows of ${train.title}`);
millrace.close();

/** At most so many rows, evenly spaced. */
function every(data: Dataset, limit: number): Dataset {
  const stride = Math.ceil(data.rowCount / limit);
  const pick = <T extends Float64Array | Uint8Array>(values: T) =>
    values.filter((_, i) => i % stride === 0) as T;
  return {
    ...data,
    columns: data.columns.map(pick),
    labels: pick(data.labels),
    rowCount: Math.ceil(data.rowCount / stride),
  };
}

function missing(values: Float64Array): (number | null)[] {
  return Array.from(values, (value) => (Number.isNaN(value) ? null : value));
}
