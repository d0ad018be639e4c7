import { names } from '@millrace/contracts';
import type { PipelineRunSchema, RunOriginSchema } from '@millrace/contracts/pipelines';
import type { Run } from '../domain/run.ts';
import type { TaskState } from '../domain/task.ts';
import { originKindOf, runStateOf, taskStateOf } from './states.ts';
import { type Init, parameterValues, time } from './value.ts';

/** The full names that belong to a run. */
export const runName = (run: Pick<Run, 'project' | 'id'>): string =>
  names.pipelineRun.format({ project: run.project, run: run.id });
export const pipelineName = (of: { project: string; pipeline: string }): string => names.pipeline.format(of);
export const taskName = (of: { project: string; run: string; key: string }): string =>
  names.task.format({ project: of.project, run: of.run, task: of.key });

export function originMessage({
  project,
  origin,
}: Pick<Run, 'project' | 'origin'>): Init<typeof RunOriginSchema> {
  const { kind, source, eventId, logicalTimeMs } = origin;
  const resource =
    source === undefined
      ? ''
      : kind === 'schedule'
        ? names.schedule.format({ project, schedule: source })
        : names.trigger.format({ project, trigger: source });
  return {
    kind: originKindOf[kind],
    resource,
    eventId: eventId ?? '',
    ...time('logicalTime', logicalTimeMs),
  };
}

export function runMessage(
  run: Run,
  etag: number,
  counts: ReadonlyMap<TaskState, number> = new Map(),
): Init<typeof PipelineRunSchema> {
  return {
    name: runName(run),
    pipeline: pipelineName(run),
    version: run.version,
    parameters: parameterValues(run.parameters),
    tags: run.tags.map(({ key, value }) => ({ key, value })),
    noCache: run.noCache,
    state: runStateOf[run.state],
    reason: run.reason,
    origin: originMessage(run),
    retryOf: run.retryOf === undefined ? '' : runName({ project: run.project, id: run.retryOf }),
    taskCounts: [...counts].map(([state, count]) => ({ state: taskStateOf[state], count })),
    etag: String(etag),
    ...time('createTime', run.createdAtMs),
    ...time('startTime', run.startedAtMs),
    ...time('endTime', run.endedAtMs),
  };
}
