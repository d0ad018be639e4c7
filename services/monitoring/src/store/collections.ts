import { defineCollection } from '@millrace/documents';
import type { ReferenceColumn } from '../domain/column.ts';
import type { Monitor, Severity } from '../domain/monitor.ts';
import type { MetricValue } from '../domain/performance.ts';
import type { Report } from '../domain/report.ts';
import type { StoredColumn } from './column-codec.ts';

export const monitors = defineCollection({
  name: 'monitors',
  fields: { project: (doc: Monitor) => doc.project, deployment: (doc: Monitor) => doc.spec.deployment },
  indexes: [['project'], ['deployment']],
});

/** A baseline; the samples of its columns are stored as bytes. */
export interface BaselineDoc {
  readonly project: string;
  readonly id: string;
  readonly source: string;
  readonly rowCount: number;
  readonly columns: readonly (Omit<ReferenceColumn, 'sample'> & { readonly sampleBytes: Uint8Array })[];
  readonly metrics: readonly MetricValue[];
  readonly createdMs: number;
}

export const baselines = defineCollection({
  name: 'baselines',
  fields: { project: (doc: BaselineDoc) => doc.project, createdMs: (doc: BaselineDoc) => doc.createdMs },
  indexes: [['project', 'createdMs']],
});

/** The rows of one logged batch that fall in one window of one monitor. */
export interface ChunkDoc {
  /** The key of its monitor's series. */
  readonly monitor: string;
  readonly startMs: number;
  readonly rowCount: number;
  readonly version: string;
  readonly inferenceIds: readonly string[];
  readonly inputs: readonly StoredColumn[];
  readonly outputs: readonly StoredColumn[];
}

export const chunks = defineCollection({
  name: 'chunks',
  fields: { monitor: (doc: ChunkDoc) => doc.monitor, startMs: (doc: ChunkDoc) => doc.startMs },
  indexes: [['monitor', 'startMs']],
});

/** Where a window stands: it takes rows, it was judged, its performance was measured. */
type WindowState = 'open' | 'judged' | 'measured';

export interface WindowDoc {
  /** The key of its monitor's series. */
  readonly monitor: string;
  readonly startMs: number;
  readonly state: WindowState;
}

export const windows = defineCollection({
  name: 'windows',
  fields: {
    monitor: (doc: WindowDoc) => doc.monitor,
    state: (doc: WindowDoc) => doc.state,
    startMs: (doc: WindowDoc) => doc.startMs,
  },
  indexes: [['monitor', 'state', 'startMs']],
});

/** A note that monitors of a name were deleted, or are about to be; the id is the monitor's key. It stays. */
export interface RemovalDoc {
  readonly monitor: string;
  /** How many were. Older releases took the note away again, and knew of one. @default 1 */
  readonly times?: number;
  /** Whether their windows are gone for good. */
  readonly done?: boolean;
}

export const removals = defineCollection({
  name: 'removals',
  fields: { monitor: (doc: RemovalDoc) => doc.monitor, done: (doc: RemovalDoc) => doc.done ?? false },
  indexes: [['monitor'], ['done']],
});

/** What really happened, as it came in one message. */
export interface LabelsDoc {
  readonly deployment: string;
  readonly knownMs: number;
  readonly inferenceIds: readonly string[];
  /** Numbers; a truth value is 0 or 1. */
  readonly values: Uint8Array;
}

export const labels = defineCollection({
  name: 'labels',
  fields: { deployment: (doc: LabelsDoc) => doc.deployment, knownMs: (doc: LabelsDoc) => doc.knownMs },
  indexes: [['deployment', 'knownMs']],
});

export const reports = defineCollection({
  name: 'reports',
  fields: {
    monitor: (doc: Report) => `${doc.project}/${doc.monitor}`,
    startMs: (doc: Report) => doc.startMs,
  },
  indexes: [['monitor', 'startMs']],
});

/** An alarm. */
export interface AlertDoc {
  readonly monitor: string;
  readonly id: string;
  readonly rule: string;
  readonly state: 'raised' | 'resolved';
  readonly severity: Severity;
  readonly reason: string;
  readonly value: number;
  readonly threshold: number;
  readonly raisedBy: string;
  readonly resolvedBy: string;
  readonly raisedMs: number;
  readonly resolvedMs: number;
  readonly deployment: string;
  readonly windowEndMs: number;
}

export const alerts = defineCollection({
  name: 'alerts',
  fields: {
    monitor: (doc: AlertDoc) => doc.monitor,
    state: (doc: AlertDoc) => doc.state,
    raisedMs: (doc: AlertDoc) => doc.raisedMs,
  },
  indexes: [
    ['monitor', 'raisedMs'],
    ['monitor', 'state', 'raisedMs'],
  ],
});

export const collections = [monitors, baselines, chunks, windows, labels, reports, alerts, removals];
