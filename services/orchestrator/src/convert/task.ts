import type { AttemptSchema, TaskOutputSchema, TaskSchema } from '@millrace/contracts/pipelines';
import { type Attempt, machineOf, type Task, type TaskOutput } from '../domain/task.ts';
import { taskName } from './run.ts';
import { attemptStateOf, taskStateOf } from './states.ts';
import { type Init, time, toValue } from './value.ts';

export function attemptMessage(attempt: Attempt): Init<typeof AttemptSchema> {
  return {
    number: attempt.number,
    state: attemptStateOf[attempt.state],
    reason: attempt.reason,
    ...(attempt.exitCode === undefined ? {} : { exitCode: attempt.exitCode }),
    signal: attempt.signal ?? '',
    fence: BigInt(attempt.fence),
    host: machineOf(attempt.host),
    stdoutDigest: attempt.stdout ?? '',
    stderrDigest: attempt.stderr ?? '',
    ...time('startTime', attempt.startedAtMs),
    ...time('endTime', attempt.endedAtMs),
  };
}

export function outputMessage(output: TaskOutput): Init<typeof TaskOutputSchema> {
  if (output.kind === 'value')
    return { name: output.name, kind: { case: 'value', value: toValue(output.value) } };
  const { digest, sizeBytes, path, artifactType } = output;
  return {
    name: output.name,
    kind: { case: 'artifact', value: { digest, sizeBytes: BigInt(sizeBytes), path, artifactType } },
  };
}

/** `waiting` is why a pending task waits. */
export function taskMessage(task: Task, waiting = ''): Init<typeof TaskSchema> {
  return {
    name: taskName(task),
    step: task.step,
    ...(task.index === undefined ? {} : { itemIndex: task.index, item: toValue(task.item ?? null) }),
    ...(task.items === undefined ? {} : { itemCount: task.items.length }),
    state: taskStateOf[task.state],
    reason: task.reason || waiting,
    attempts: task.attempts.map(attemptMessage),
    outputs: task.outputs.map(outputMessage),
    cacheKey: task.cacheKey ?? '',
    cachedFrom: task.cachedFrom === undefined ? '' : cachedName(task.project, task.cachedFrom),
    exitStep: task.exit,
    ...time('nextAttemptTime', task.nextAttemptAtMs),
    ...time('createTime', task.createdAtMs),
    ...time('startTime', task.startedAtMs),
    ...time('endTime', task.endedAtMs),
  };
}

function cachedName(project: string, from: string): string {
  const [run = '', key = ''] = from.split('/');
  return taskName({ project, run, key });
}
