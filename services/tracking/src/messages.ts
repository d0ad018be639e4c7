import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import {
  type ArtifactSchema,
  type DatasetInputSchema,
  type ExperimentSchema,
  LifecycleState,
  type MetricSchema,
  type RunSchema,
  RunStatus,
} from '@millrace/contracts/tracking';
import type { Versioned } from '@millrace/documents';
import type { Artifact } from './domain/artifact.ts';
import type { DatasetInput } from './domain/dataset-input.ts';
import type { Experiment } from './domain/experiment.ts';
import type { Point } from './domain/metric.ts';
import type { Run, RunStatus as Status } from './domain/run.ts';

/** Domain values as messages, and back. */

export function runName(project: string, run: string): string {
  return names.run.format({ project, run });
}

export function experimentName(project: string, number: number): string {
  return names.experiment.format({ project, experiment: String(number) });
}

export function statusOf(status: Status): RunStatus {
  return RunStatus[status];
}

/** The status of a message; undefined when it says none. */
export function fromStatus(status: RunStatus): Status | undefined {
  const names: Status[] = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'];
  return names.find((name) => RunStatus[name] === status);
}

/** A timestamp field, left out where there is no time. */
export function timeOf<K extends string>(field: K, ms: number | null): { [P in K]?: Timestamp } {
  return (ms === null ? {} : { [field]: timestampFromMs(ms) }) as { [P in K]?: Timestamp };
}

export function toMetric(point: Point): MessageInitShape<typeof MetricSchema> {
  return { ...point, timestampMs: BigInt(point.timestampMs) };
}

export function toExperiment(found: Versioned<Experiment>): MessageInitShape<typeof ExperimentSchema> {
  const { doc } = found;
  return {
    name: experimentName(doc.project, doc.number),
    displayName: doc.displayName,
    tags: doc.tags.map((tag) => ({ ...tag })),
    ...lifeOf(found),
  };
}

export function toRun(found: Versioned<Run>): MessageInitShape<typeof RunSchema> {
  const { doc } = found;
  return {
    name: runName(doc.project, doc.id),
    experiment: experimentName(doc.project, doc.experiment),
    displayName: doc.displayName,
    status: statusOf(doc.status),
    ...timeOf('startTime', doc.startTimeMs),
    ...timeOf('endTime', doc.endTimeMs),
    params: doc.params.map((param) => ({ ...param })),
    tags: doc.tags.map((tag) => ({ ...tag })),
    metrics: doc.metrics.map(toMetric),
    ...lifeOf(found),
  };
}

export function toInput(found: Versioned<DatasetInput>): MessageInitShape<typeof DatasetInputSchema> {
  const { name, digest, sourceType, source, schema, profile, tags } = found.doc;
  return {
    dataset: { name, digest, sourceType, source, schema, profile },
    tags: tags.map((tag) => ({ ...tag })),
    createTime: timestampFromMs(found.createdAtMs),
  };
}

export function toArtifact(found: Versioned<Artifact>): MessageInitShape<typeof ArtifactSchema> {
  const { project, run, path, digest, sizeBytes, mediaType } = found.doc;
  return {
    run: runName(project, run),
    path,
    digest,
    sizeBytes: BigInt(sizeBytes),
    mediaType,
    createTime: timestampFromMs(found.createdAtMs),
    updateTime: timestampFromMs(found.updatedAtMs),
  };
}

/** State, times and etag. What was never written (the default experiment of an unused project) has no times and no etag. */
function lifeOf(found: Versioned<{ readonly deletedAtMs: number | null }>) {
  const { deletedAtMs } = found.doc;
  const state = deletedAtMs === null ? LifecycleState.ACTIVE : LifecycleState.DELETED;
  if (found.version === 0) return { state };
  return {
    state,
    ...timeOf('deleteTime', deletedAtMs),
    createTime: timestampFromMs(found.createdAtMs),
    updateTime: timestampFromMs(found.updatedAtMs),
    etag: String(found.version),
  };
}
