import { defineCollection } from '@millrace/documents';
import type { Pipeline } from '../domain/pipeline.ts';
import { isTerminalRun, type Run } from '../domain/run.ts';
import type { Schedule } from '../domain/schedule.ts';
import type { Task, TaskOutput } from '../domain/task.ts';
import type { Trigger } from '../domain/trigger.ts';

/** `PROJECT/NAME`. */
export const pipelineSpecs = defineCollection({
  name: 'pipelines',
  fields: { project: (doc: Pipeline) => doc.project, name: (doc: Pipeline) => doc.name },
  indexes: [['project', 'name']],
});

/** Versions that a newer one followed: `PROJECT/NAME/VERSION`. The newest stands in the pipeline itself. */
export const versionSpecs = defineCollection({
  name: 'pipeline-versions',
  fields: {
    pipeline: (doc: Pipeline) => `${doc.project}/${doc.name}`,
    version: (doc: Pipeline) => doc.version,
  },
  indexes: [['pipeline', 'version']],
});

/** `PROJECT/RUN`. A run's tasks are documents of their own, so that a change costs the same in a run of any size. */
export const runSpecs = defineCollection({
  name: 'runs',
  fields: {
    project: (doc: Run) => doc.project,
    pipeline: (doc: Run) => doc.pipeline,
    state: (doc: Run) => doc.state,
    open: (doc: Run) => !isTerminalRun(doc.state),
    /** The schedule or trigger that started it. */
    origin: (doc: Run) => originKey(doc),
    createdAtMs: (doc: Run) => doc.createdAtMs,
  },
  indexes: [
    ['project', 'createdAtMs'],
    ['project', 'pipeline', 'createdAtMs'],
    ['project', 'state', 'createdAtMs'],
    ['project', 'pipeline', 'state', 'createdAtMs'],
    ['open', 'createdAtMs'],
    ['origin', 'open'],
  ],
});

/** What started a run, as `PROJECT/KIND/NAME`; empty for requests. */
export function originKey({ project, origin }: Pick<Run, 'project' | 'origin'>): string {
  return origin.source === undefined ? '' : `${project}/${origin.kind}/${origin.source}`;
}

/** `PROJECT/RUN/KEY`. Its attempts are inside: they change only with it. */
export const taskSpecs = defineCollection({
  name: 'tasks',
  fields: {
    run: (doc: Task) => `${doc.project}/${doc.run}`,
    step: (doc: Task) => doc.step,
    state: (doc: Task) => doc.state,
    /** -1 for tasks that are no item's. */
    index: (doc: Task) => doc.index ?? -1,
  },
  indexes: [
    ['run', 'step', 'index'],
    ['run', 'state', 'step', 'index'],
    ['run', 'step', 'state', 'index'],
  ],
});

/** A result that may be reused: `PROJECT/KEY`. */
export interface CacheEntry {
  readonly project: string;
  readonly key: string;
  /** `RUN/KEY` of the task that made it. */
  readonly task: string;
  readonly outputs: readonly TaskOutput[];
  readonly createdAtMs: number;
}

export const cacheSpecs = defineCollection({
  name: 'cache',
  fields: { createdAtMs: (doc: CacheEntry) => doc.createdAtMs },
  indexes: [['createdAtMs']],
});

/** `PROJECT/NAME`. */
export const scheduleSpecs = defineCollection({
  name: 'schedules',
  fields: {
    project: (doc: Schedule) => doc.project,
    name: (doc: Schedule) => doc.name,
    /** When it is to be looked at next; null for never. */
    dueMs: (doc: Schedule) => (doc.bufferedMs === undefined && !doc.starting?.length ? doc.nextAtMs : 0),
  },
  indexes: [['project', 'name'], ['dueMs']],
});

/** `PROJECT/NAME`. */
export const triggerSpecs = defineCollection({
  name: 'triggers',
  fields: {
    project: (doc: Trigger) => doc.project,
    name: (doc: Trigger) => doc.name,
    eventType: (doc: Trigger) => doc.eventType,
    paused: (doc: Trigger) => doc.paused,
  },
  indexes: [
    ['project', 'name'],
    ['project', 'eventType'],
    ['paused', 'eventType'],
  ],
});

export const collections = [
  pipelineSpecs,
  versionSpecs,
  runSpecs,
  taskSpecs,
  cacheSpecs,
  scheduleSpecs,
  triggerSpecs,
] as const;
