import type { Graph } from './graph.ts';
import type { Json } from './json.ts';
import type { Run } from './run.ts';
import { isFailure, isTerminalTask, itemKey, newTask, outputValue, type Task } from './task.ts';

/** The state of the items of one step, kept up to date task by task, so that a fan-out costs the same at any size. */
export interface Group {
  /** The least index that has no task yet, because it never started. */
  next: number;
  readonly running: Set<string>;
  readonly backingOff: Set<string>;
  /** Items that have a task but wait, because their claim was not durable or an earlier holder left them. */
  readonly pending: Set<string>;
  terminal: number;
  failures: number;
}

/** A run with its tasks, as its holder keeps it in memory. Everything in it can be read again from the store. */
export interface RunView {
  run: Run;
  readonly graph: Graph;
  readonly tasks: Map<string, Task>;
  readonly groups: Map<string, Group>;
  /** Tasks whose attempts are running. */
  readonly running: Set<string>;
}

/** Makes the view of a run from its documents. */
export function createView(run: Run, graph: Graph, tasks: Iterable<Task>): RunView {
  const view: RunView = { run, graph, tasks: new Map(), groups: new Map(), running: new Set() };
  for (const task of tasks) putTask(view, task);
  return view;
}

/** Takes a task's new state in. An end is final: a state that was read before it and comes later says nothing. */
export function putTask(view: RunView, task: Task): void {
  const before = view.tasks.get(task.key);
  if (before && isTerminalTask(before.state)) return;
  view.tasks.set(task.key, task);
  const working = task.attempts.at(-1)?.state === 'running';
  if (working) view.running.add(task.key);
  else view.running.delete(task.key);
  if (task.index === undefined) return;
  const group = groupOf(view, task.step);
  for (const [set, member] of [
    [group.running, task.state === 'running'],
    [group.backingOff, task.state === 'backing_off'],
    [group.pending, task.state === 'pending'],
  ] as const)
    if (member) set.add(task.key);
    else set.delete(task.key);
  if (isTerminalTask(task.state)) {
    group.terminal += 1;
    if (isFailure(task.state)) group.failures += 1;
  }
  while (view.tasks.has(itemKey(task.step, group.next))) group.next += 1;
}

/** The group of a step with `for_each`. */
export function groupOf(view: RunView, step: string): Group {
  const found = view.groups.get(step);
  if (found) return found;
  const group: Group = {
    next: 0,
    running: new Set(),
    backingOff: new Set(),
    pending: new Set(),
    terminal: 0,
    failures: 0,
  };
  view.groups.set(step, group);
  return group;
}

/** The task of an item, new where it has none yet. */
export function itemTask(view: RunView, gathering: Task, index: number, nowMs: number): Task {
  const key = itemKey(gathering.step, index);
  const found = view.tasks.get(key);
  if (found) return found;
  const { project, run, step, exit } = gathering;
  return {
    ...newTask({ project, run, key, step, exit }, nowMs),
    index,
    item: gathering.items?.[index] ?? null,
  };
}

/** The value of an output of a step: for a step with `for_each` the list of its items' values; undefined where there is none. */
export function stepOutput(view: RunView, step: string, output: string): Json | undefined {
  const task = view.tasks.get(step);
  if (!task) return undefined;
  const of = (t: Task | undefined): Json | undefined => {
    const found = t?.outputs.find((o) => o.name === output);
    return found && outputValue(found);
  };
  if (!task.items) return of(task);
  if (task.state !== 'succeeded') return undefined;
  return task.items.map((_, index) => of(view.tasks.get(itemKey(step, index))) ?? null);
}
