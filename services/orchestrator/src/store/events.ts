import { toBinary } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { pipelinesEvents as events } from '@millrace/contracts/pipelines-events';
import type { EventDraft } from '@millrace/documents';
import { draft } from '@millrace/events';
import { originMessage, pipelineName, runName, taskName } from '../convert/run.ts';
import { runStateOf, taskStateOf } from '../convert/states.ts';
import { attemptMessage, outputMessage } from '../convert/task.ts';
import { time, toValue } from '../convert/value.ts';
import type { RunFact } from '../domain/decide-run.ts';
import type { TaskFact } from '../domain/decide-task.ts';
import type { Pipeline } from '../domain/pipeline.ts';
import type { Run } from '../domain/run.ts';
import type { Schedule } from '../domain/schedule.ts';
import type { Task, TaskOutput } from '../domain/task.ts';
import type { Trigger } from '../domain/trigger.ts';

/** The events of the catalogue for the facts of the domain. */

export function pipelineApplied(pipeline: Pipeline, timeMs: number): EventDraft {
  const { project, version, specDigest } = pipeline;
  const resource = pipelineName({ project, pipeline: pipeline.name });
  return draft(events.pipelineApplied, {
    project,
    resource,
    timeMs,
    data: { pipeline: resource, version, specDigest },
  });
}

export function runCreated(run: Run, timeMs: number): EventDraft {
  const data = {
    run: runName(run),
    pipeline: pipelineName(run),
    version: run.version,
    origin: originMessage(run),
    retryOf: run.retryOf === undefined ? '' : runName({ project: run.project, id: run.retryOf }),
  };
  return draft(events.runCreated, { project: run.project, resource: data.run, timeMs, data });
}

export function runEvents(run: Run, facts: readonly RunFact[], timeMs: number): EventDraft[] {
  return facts.map(({ from, to, reason }) =>
    draft(events.runStateChanged, {
      project: run.project,
      resource: runName(run),
      timeMs,
      data: {
        run: runName(run),
        pipeline: pipelineName(run),
        version: run.version,
        from: runStateOf[from],
        to: runStateOf[to],
        reason,
        origin: originMessage(run),
      },
    }),
  );
}

/**
 * Values of more bytes than this are left out of events; whoever needs them asks for the task. Counted as they travel, where
 * a number takes eleven bytes: all outputs that a step may have then fit into its event, whatever they hold.
 */
const maxValueBytes = 1024;

const isTold = (output: TaskOutput): boolean =>
  output.kind === 'artifact' || toBinary(ValueSchema, toValue(output.value)).length <= maxValueBytes;

export function taskEvents(run: Run, task: Task, facts: readonly TaskFact[], timeMs: number): EventDraft[] {
  const common = { task: taskName(task), run: runName(run), pipeline: pipelineName(run) };
  const envelope = { project: run.project, resource: common.task, timeMs };
  return facts.map((fact) => {
    if (fact.fact === 'attempt_finished') {
      const data = { ...common, attempt: attemptMessage(fact.attempt), willRetry: fact.willRetry };
      return draft(events.attemptFinished, { ...envelope, data });
    }
    const data = {
      ...common,
      version: run.version,
      step: task.step,
      from: taskStateOf[fact.from],
      to: taskStateOf[fact.to],
      reason: fact.reason,
      attempt: task.attempts.length,
      outputs: task.outputs.filter(isTold).map(outputMessage),
    };
    return draft(events.taskStateChanged, { ...envelope, data });
  });
}

export const scheduleName = (of: Pick<Schedule, 'project' | 'name'>): string =>
  names.schedule.format({ project: of.project, schedule: of.name });
export const triggerName = (of: Pick<Trigger, 'project' | 'name'>): string =>
  names.trigger.format({ project: of.project, trigger: of.name });

export function scheduleApplied(schedule: Schedule, timeMs: number): EventDraft {
  const { project, paused } = schedule;
  const resource = scheduleName(schedule);
  return draft(events.scheduleApplied, {
    project,
    resource,
    timeMs,
    data: { schedule: resource, pipeline: pipelineName(schedule), paused },
  });
}

export function scheduleDeleted(
  of: Pick<Schedule, 'project' | 'name'>,
  id: string,
  timeMs: number,
): EventDraft {
  const resource = scheduleName(of);
  return draft(events.scheduleDeleted, {
    id,
    project: of.project,
    resource,
    timeMs,
    data: { schedule: resource },
  });
}

export function scheduleFired(
  schedule: Schedule,
  logicalMs: number,
  run: string | undefined,
  reason: string,
  timeMs: number,
): EventDraft {
  const { project } = schedule;
  const resource = scheduleName(schedule);
  const data = {
    schedule: resource,
    pipeline: pipelineName(schedule),
    run: run === undefined ? '' : runName({ project, id: run }),
    reason,
    ...time('logicalTime', logicalMs),
  };
  return draft(events.scheduleFired, { project, resource, timeMs, data });
}

export function triggerApplied(trigger: Trigger, timeMs: number): EventDraft {
  const { project, paused } = trigger;
  const resource = triggerName(trigger);
  return draft(events.triggerApplied, {
    project,
    resource,
    timeMs,
    data: { trigger: resource, pipeline: pipelineName(trigger), paused },
  });
}

export function triggerDeleted(
  of: Pick<Trigger, 'project' | 'name'>,
  id: string,
  timeMs: number,
): EventDraft {
  const resource = triggerName(of);
  return draft(events.triggerDeleted, {
    id,
    project: of.project,
    resource,
    timeMs,
    data: { trigger: resource },
  });
}

export function triggerFired(
  trigger: Trigger,
  eventId: string,
  answer: {
    readonly id: string;
    readonly run: string | undefined;
    readonly reason: string;
    readonly timeMs: number;
  },
): EventDraft {
  const { project } = trigger;
  const { id, run, reason, timeMs } = answer;
  const resource = triggerName(trigger);
  const data = {
    trigger: resource,
    pipeline: pipelineName(trigger),
    eventId,
    eventType: trigger.eventType,
    run: run === undefined ? '' : runName({ project, id: run }),
    reason,
  };
  return draft(events.triggerFired, { project, resource, timeMs, data, id });
}
