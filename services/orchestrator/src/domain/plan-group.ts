import type { Node } from './graph.ts';
import {
  type Budget,
  createBudget,
  isHalted,
  type Next,
  type PlanInput,
  planRetry,
  planRunning,
} from './plan.ts';
import { isFailure, itemKey, type Task } from './task.ts';
import { groupOf, type RunView } from './view.ts';

/** What is to be done with a step whose items are known. Costs as much as it has running tasks, however many items there are. */
export function* planGroup(
  view: RunView,
  node: Node,
  gathering: Task,
  input: PlanInput,
  budget: Budget,
): Generator<Next> {
  const group = groupOf(view, gathering.step);
  const total = gathering.items?.length ?? 0;
  const { maxParallel, toleratedFailures } = node.step.forEach ?? { maxParallel: 0, toleratedFailures: 0 };
  const tooMany = group.failures > toleratedFailures;
  const halted = isHalted(view, node.exit);

  for (const key of group.running) {
    const task = view.tasks.get(key);
    if (task) yield* planRunning(node, task, halted || tooMany ? 'cancelled' : undefined, input);
  }
  if (halted || tooMany) {
    const reason = halted
      ? (view.run.stop?.reason ?? '')
      : failureText(view, gathering, group.failures, total);
    for (const key of [...group.backingOff, ...group.pending])
      yield { do: 'settle', key, state: 'cancelled', reason };
    if (group.running.size + group.backingOff.size + group.pending.size === 0)
      yield { do: 'gather', key: gathering.key, state: tooMany ? 'failed' : 'cancelled', reason };
    return;
  }
  if (group.terminal === total) {
    const reason =
      group.failures > 0 ? `${failureText(view, gathering, group.failures, total)}, which is tolerated` : '';
    yield { do: 'gather', key: gathering.key, state: 'succeeded', reason };
    return;
  }
  const own = createBudget(
    Math.min(budget.left, (maxParallel || Number.POSITIVE_INFINITY) - group.running.size),
    input.hasRoom,
  );
  const before = own.left;
  for (const key of group.backingOff) {
    const task = view.tasks.get(key);
    if (task) yield* planRetry(task, input, own);
  }
  for (const key of group.pending) {
    if (!own.open()) break;
    own.left -= 1;
    yield { do: 'start', key, index: view.tasks.get(key)?.index ?? 0 };
  }
  for (let index = group.next; index < total && own.open(); index++) {
    const key = itemKey(gathering.step, index);
    if (view.tasks.has(key)) continue;
    own.left -= 1;
    yield { do: 'start', key, index };
  }
  budget.left -= before - own.left;
}

function failureText(view: RunView, gathering: Task, failures: number, total: number): string {
  for (let index = 0; index < total; index++) {
    const task = view.tasks.get(itemKey(gathering.step, index));
    if (task && isFailure(task.state))
      return `${failures} of ${total} items failed, the first is ${task.key}: ${task.reason}`;
  }
  return `${failures} of ${total} items failed`;
}
