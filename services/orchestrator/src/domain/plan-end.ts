import type { Next, PlanInput } from './plan.ts';
import type { RunOutcome } from './run.ts';
import { isFailure, isTerminalTask, type Task } from './task.ts';
import type { RunView } from './view.ts';

/** Whether the run is to stop, to begin its exit steps, or to end. */
export function* planEnd(view: RunView, { spec, nowMs, jumpedMs }: PlanInput): Generator<Next> {
  const { run } = view;
  const main: Task[] = [];
  const exit: Task[] = [];
  for (const node of view.graph.values()) {
    const task = view.tasks.get(node.step.name);
    if (!task) return;
    (node.exit ? exit : main).push(task);
  }
  const failed = main.find((task) => isFailure(task.state) && !view.graph.get(task.step)?.step.allowFailure);
  if (run.state === 'running') {
    const deadline =
      spec.timeoutMs === undefined
        ? undefined
        : (run.startedAtMs ?? nowMs) + spec.timeoutMs + (jumpedMs?.('') ?? 0);
    const open = main.some((task) => !isTerminalTask(task.state));
    if (open && failed && spec.failurePolicy === 'fail_fast')
      return yield stop('failed', `step ${failed.step} is ${failed.state.toUpperCase()}: ${failed.reason}`);
    if (open && deadline !== undefined && deadline <= nowMs)
      return yield stop('timed_out', `the run took longer than ${spec.timeoutMs} ms`);
    if (open && deadline !== undefined) yield { do: 'wake', atMs: deadline };
  }
  if (!main.every((task) => isTerminalTask(task.state))) return;
  if (run.state !== 'exiting') {
    const end = outcome(view, failed);
    if (exit.some((task) => !isTerminalTask(task.state))) {
      // With force the exit steps are cancelled first, by the rule for tasks, and the run ends at the next look.
      if (!run.stop?.force) yield { do: 'run', command: { do: 'exit', ...end } };
      return;
    }
    return yield { do: 'run', command: { do: 'finish', ...end } };
  }
  if (!exit.every((task) => isTerminalTask(task.state))) return;
  const broken = exit.find((task) => isFailure(task.state) && !view.graph.get(task.step)?.step.allowFailure);
  const decided = run.outcome ?? { state: 'failed' as const, reason: '' };
  if (broken && decided.state === 'succeeded') {
    const reason = `exit step ${broken.step} is ${broken.state.toUpperCase()}: ${broken.reason}`;
    return yield { do: 'run', command: { do: 'finish', outcome: 'failed', reason } };
  }
  yield { do: 'run', command: { do: 'finish', outcome: decided.state, reason: decided.reason } };
}

function outcome(view: RunView, failed: Task | undefined): { outcome: RunOutcome; reason: string } {
  const { stop: stopped } = view.run;
  if (stopped) return { outcome: stopped.to, reason: stopped.reason };
  if (!failed) return { outcome: 'succeeded', reason: '' };
  return {
    outcome: 'failed',
    reason: `step ${failed.step} is ${failed.state.toUpperCase()}: ${failed.reason}`,
  };
}

function stop(to: 'failed' | 'timed_out', reason: string): Next {
  return { do: 'run', command: { do: 'stop', to, reason, force: false } };
}
