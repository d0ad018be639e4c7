import type { TriggerSchema } from '@millrace/contracts/pipelines';
import type { Trigger } from '../domain/trigger.ts';
import { triggerName } from '../store/events.ts';
import { pipelineName, runName } from './run.ts';
import { durationOf, type Init, time, toValue } from './value.ts';

export function triggerMessage(trigger: Trigger, etag: number): Init<typeof TriggerSchema> {
  const { project, lastRun } = trigger;
  return {
    name: triggerName(trigger),
    pipeline: pipelineName(trigger),
    eventType: trigger.eventType,
    resource: trigger.resource,
    condition: trigger.condition,
    parameters: trigger.parameters.map((p) => ({
      name: p.name,
      source:
        'value' in p
          ? { case: 'value' as const, value: toValue(p.value) }
          : { case: 'expression' as const, value: p.expression },
    })),
    ...(trigger.coolDownMs > 0 ? { coolDown: durationOf(trigger.coolDownMs) } : {}),
    maxConcurrentRuns: trigger.maxConcurrentRuns,
    paused: trigger.paused,
    lastRun: lastRun === undefined ? '' : runName({ project, id: lastRun }),
    lastReason: trigger.lastReason,
    fireCount: BigInt(trigger.fireCount),
    etag: String(etag),
    ...time('lastFireTime', trigger.lastFireAtMs),
    ...time('createTime', trigger.createdAtMs),
    ...time('updateTime', trigger.updatedAtMs),
  };
}
