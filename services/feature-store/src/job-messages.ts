import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  MaterializationSchema,
  TrainingSetColumnSchema,
  TrainingSetSchema,
} from '@millrace/contracts/features';
import { ColumnRole as WireRole, JobState as WireState } from '@millrace/contracts/features';
import { wireTypes } from './batch.ts';
import type { ColumnRole, Job, JobState, Materialization, ResultColumn, TrainingSet } from './domain/job.ts';
import { type Held, timeOfMs, timestampOf } from './messages.ts';

const states: Readonly<Record<JobState, WireState>> = {
  pending: WireState.PENDING,
  running: WireState.RUNNING,
  succeeded: WireState.SUCCEEDED,
  failed: WireState.FAILED,
};

const roles: Readonly<Record<ColumnRole, WireRole>> = {
  join_key: WireRole.JOIN_KEY,
  timestamp: WireRole.TIMESTAMP,
  label: WireRole.LABEL,
  feature: WireRole.FEATURE,
  extra: WireRole.EXTRA,
};

function jobFields(job: Job) {
  return {
    state: states[job.state],
    ...(job.error ? { error: { ...job.error } } : {}),
    attempt: job.attempt,
    createTime: timeOfMs(job.createdMs),
    ...(job.begunMs === null ? {} : { beginTime: timeOfMs(job.begunMs) }),
    ...(job.finishedMs === null ? {} : { finishTime: timeOfMs(job.finishedMs) }),
  };
}

export function materializationMessage(
  held: Pick<Held<Materialization>, 'id' | 'doc' | 'version'>,
): MessageInitShape<typeof MaterializationSchema> {
  const job = held.doc;
  return {
    name: held.id,
    view: job.view,
    endTime: timestampOf(job.endUs),
    ...(job.startUs === null ? {} : { startTime: timestampOf(job.startUs) }),
    full: job.full,
    viewVersion: job.viewVersion,
    rowsRead: BigInt(job.rowsRead),
    keysTotal: BigInt(job.keysTotal),
    keysWritten: BigInt(job.keysWritten),
    ...jobFields(job),
    etag: String(held.version),
  };
}

/** Without inline entity rows, which may be large. */
export function trainingSetMessage(
  held: Pick<Held<TrainingSet>, 'id' | 'doc' | 'version'>,
): MessageInitShape<typeof TrainingSetSchema> {
  const set = held.doc;
  const query = set.entityRows;
  return {
    name: held.id,
    features: [...set.features],
    ...(query.kind === 'query'
      ? { entityRows: { case: 'query' as const, value: { source: query.source, sql: query.sql } } }
      : {}),
    timestampColumn: set.timestampColumn,
    labelColumns: [...set.labelColumns],
    fullFeatureNames: set.fullNames,
    description: set.description,
    tags: [...set.tags],
    progress: set.progress,
    stage: set.stage,
    digest: set.digest,
    sizeBytes: BigInt(set.sizeBytes),
    rowCount: BigInt(set.rowCount),
    columns: set.columns.map(columnMessage),
    viewVersions: [...set.viewVersions],
    ...jobFields(set),
    etag: String(held.version),
  };
}

function columnMessage(column: ResultColumn): MessageInitShape<typeof TrainingSetColumnSchema> {
  const { statistics: s } = column;
  return {
    name: column.name,
    type: wireTypes[column.type],
    role: roles[column.role],
    feature: column.feature,
    statistics: {
      count: BigInt(s.count),
      nullCount: BigInt(s.nullCount),
      distinctEstimate: BigInt(s.distinct),
      ...(s.min === null ? {} : { min: s.min }),
      ...(s.max === null ? {} : { max: s.max }),
      ...(s.mean === null ? {} : { mean: s.mean }),
      ...(s.stddev === null ? {} : { stddev: s.stddev }),
      quantiles: [...s.quantiles],
      histogram: s.histogram.map((bin) => ({ ...bin, count: BigInt(bin.count) })),
      categories: s.categories.map((c) => ({ ...c, count: BigInt(c.count) })),
    },
  };
}
