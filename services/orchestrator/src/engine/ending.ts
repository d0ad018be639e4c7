import type { Ending } from '../domain/decide-task.ts';
import { isHalted, type StopReason } from '../domain/plan.ts';
import type { Step } from '../domain/spec.ts';
import type { Task } from '../domain/task.ts';
import type { RunView } from '../domain/view.ts';
import type { Executor, Exit } from '../executor/executor.ts';

/** Whether a task is to come to an end without doing more, so that what ended it was us. */
export const isStopped = (view: RunView, task: Task): boolean => isHalted(view, task.exit);

/**
 * What the end of a process means for its attempt: keeps its logs and outputs, and says how it ended. `asked` is why
 * this process stopped it; after a restart the run's state and the clock tell as much.
 */
export async function endingOf(
  { executor, nowMs }: { readonly executor: Executor; readonly nowMs: number },
  view: RunView,
  step: Step,
  task: Task,
  id: string,
  exit: Exclude<Exit, { kind: 'lost' }>,
  asked: StopReason | undefined,
): Promise<Ending> {
  const logs = await executor.keepLogs(id);
  if (exit.kind === 'refused') return { state: 'failed', reason: `could not start: ${exit.reason}`, ...logs };
  const how = exit.kind === 'exited' ? { exitCode: exit.code } : { signal: exit.signal };
  // Many programs answer SIGTERM with 0: what they leave then is half done.
  if (exit.kind === 'exited' && exit.code === 0 && !exit.stopped) {
    const { outputs, problem } = await executor.collect(id, step.action.outputs);
    return problem === undefined
      ? { state: 'succeeded', reason: '', outputs, ...how, ...logs }
      : { state: 'failed', reason: problem, ...how, ...logs };
  }
  const late = nowMs - (task.attempts.at(-1)?.startedAtMs ?? nowMs) >= step.timeoutMs;
  const why = asked ?? (isStopped(view, task) ? 'cancelled' : late ? 'timed_out' : undefined);
  switch (why) {
    case 'timed_out':
      return { state: 'timed_out', reason: `took longer than ${step.timeoutMs} ms`, ...how, ...logs };
    case 'cancelled': {
      const reason = view.run.stop?.reason ?? `too many items of ${task.step} failed`;
      return { state: 'cancelled', reason, ...how, ...logs };
    }
    case undefined: {
      const reason = exit.kind === 'exited' ? `exit code ${exit.code}` : `ended by ${exit.signal}`;
      return { state: 'failed', reason, ...how, ...logs };
    }
  }
}
