import {
  AttemptState,
  CatchUp,
  Overlap,
  PipelineRunState,
  RunOriginKind,
  TaskState,
} from '@millrace/contracts/pipelines';
import type { Origin, RunState } from '../domain/run.ts';
import type { CatchUp as DomainCatchUp, Overlap as DomainOverlap } from '../domain/schedule.ts';
import type { AttemptState as DomainAttemptState, TaskState as DomainTaskState } from '../domain/task.ts';

/** The enums of the contract for the states of the domain. */
export const runStateOf: Readonly<Record<RunState, PipelineRunState>> = {
  pending: PipelineRunState.PENDING,
  running: PipelineRunState.RUNNING,
  stopping: PipelineRunState.STOPPING,
  exiting: PipelineRunState.EXITING,
  succeeded: PipelineRunState.SUCCEEDED,
  failed: PipelineRunState.FAILED,
  cancelled: PipelineRunState.CANCELLED,
  timed_out: PipelineRunState.TIMED_OUT,
};
export const taskStateOf: Readonly<Record<DomainTaskState, TaskState>> = {
  pending: TaskState.PENDING,
  running: TaskState.RUNNING,
  backing_off: TaskState.BACKING_OFF,
  succeeded: TaskState.SUCCEEDED,
  failed: TaskState.FAILED,
  cancelled: TaskState.CANCELLED,
  timed_out: TaskState.TIMED_OUT,
  skipped: TaskState.SKIPPED,
  cached: TaskState.CACHED,
  upstream_failed: TaskState.UPSTREAM_FAILED,
};
export const attemptStateOf: Readonly<Record<DomainAttemptState, AttemptState>> = {
  running: AttemptState.RUNNING,
  succeeded: AttemptState.SUCCEEDED,
  failed: AttemptState.FAILED,
  timed_out: AttemptState.TIMED_OUT,
  cancelled: AttemptState.CANCELLED,
  lost: AttemptState.LOST,
};
export const originKindOf: Readonly<Record<Origin['kind'], RunOriginKind>> = {
  request: RunOriginKind.REQUEST,
  schedule: RunOriginKind.SCHEDULE,
  trigger: RunOriginKind.TRIGGER,
};
export const catchUpOf: Readonly<Record<DomainCatchUp, CatchUp>> = {
  none: CatchUp.NONE,
  last: CatchUp.LAST,
  all: CatchUp.ALL,
};
export const overlapOf: Readonly<Record<DomainOverlap, Overlap>> = {
  skip: Overlap.SKIP,
  buffer_one: Overlap.BUFFER_ONE,
  allow: Overlap.ALLOW,
  cancel_other: Overlap.CANCEL_OTHER,
};

/** The domain's word for an enum value; undefined for UNSPECIFIED. */
export function wordFor<K extends string, V extends number>(
  table: Readonly<Record<K, V>>,
  value: V,
): K | undefined {
  for (const word in table) if (table[word] === value) return word;
  return undefined;
}
