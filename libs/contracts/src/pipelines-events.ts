import { defineEvent } from './event-type.ts';
import {
  AttemptFinishedSchema,
  PipelineAppliedSchema,
  PipelineRunCreatedSchema,
  PipelineRunStateChangedSchema,
  ScheduleAppliedSchema,
  ScheduleDeletedSchema,
  ScheduleFiredSchema,
  TaskStateChangedSchema,
  TriggerAppliedSchema,
  TriggerDeletedSchema,
  TriggerFiredSchema,
} from './gen/millrace/pipelines/v1/pipelines_events_pb.ts';

/** The events of the orchestrator. */
export const pipelinesEvents = {
  pipelineApplied: defineEvent('pipelines', 'pipeline.applied', PipelineAppliedSchema),
  runCreated: defineEvent('pipelines', 'run.created', PipelineRunCreatedSchema),
  runStateChanged: defineEvent('pipelines', 'run.state_changed', PipelineRunStateChangedSchema),
  taskStateChanged: defineEvent('pipelines', 'task.state_changed', TaskStateChangedSchema),
  attemptFinished: defineEvent('pipelines', 'attempt.finished', AttemptFinishedSchema),
  scheduleApplied: defineEvent('pipelines', 'schedule.applied', ScheduleAppliedSchema),
  scheduleDeleted: defineEvent('pipelines', 'schedule.deleted', ScheduleDeletedSchema),
  scheduleFired: defineEvent('pipelines', 'schedule.fired', ScheduleFiredSchema),
  triggerApplied: defineEvent('pipelines', 'trigger.applied', TriggerAppliedSchema),
  triggerDeleted: defineEvent('pipelines', 'trigger.deleted', TriggerDeletedSchema),
  triggerFired: defineEvent('pipelines', 'trigger.fired', TriggerFiredSchema),
} as const;
