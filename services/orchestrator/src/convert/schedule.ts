import type { ScheduleSchema } from '@millrace/contracts/pipelines';
import type { Schedule } from '../domain/schedule.ts';
import { scheduleName } from '../store/events.ts';
import { pipelineName, runName } from './run.ts';
import { catchUpOf, overlapOf } from './states.ts';
import { type Init, parameterValues, time } from './value.ts';

export function scheduleMessage(schedule: Schedule, etag: number): Init<typeof ScheduleSchema> {
  const { project, lastRun } = schedule;
  return {
    name: scheduleName(schedule),
    pipeline: pipelineName(schedule),
    cron: schedule.cron,
    timeZone: schedule.timeZone,
    parameters: parameterValues(schedule.parameters),
    timeParameter: schedule.timeParameter,
    catchUp: catchUpOf[schedule.catchUp],
    maxCatchUp: schedule.maxCatchUp,
    overlap: overlapOf[schedule.overlap],
    paused: schedule.paused,
    lastRun: lastRun === undefined ? '' : runName({ project, id: lastRun }),
    lastReason: schedule.lastReason,
    etag: String(etag),
    ...time('nextTime', schedule.nextAtMs),
    ...time('lastTime', schedule.lastTimeMs),
    ...time('createTime', schedule.createdAtMs),
    ...time('updateTime', schedule.updatedAtMs),
  };
}
