import { bindings, resolver } from './bindings.ts';
import type { RunCommand } from './decide-run.ts';
import type { Expressions } from './expression.ts';
import { type Node, templatesOf } from './graph.ts';
import { planEnd } from './plan-end.ts';
import { planGroup } from './plan-group.ts';
import { isTerminalRun } from './run.ts';
import type { PipelineSpec } from './spec.ts';
import { isDone, isTerminalTask, newTask, type Task } from './task.ts';
import { referencesOf, referenceText } from './template.ts';
import type { RunView } from './view.ts';

/** What is to be done next with a run. */
export type Next =
  | { readonly do: 'create'; readonly task: Task }
  | {
      readonly do: 'settle';
      readonly key: string;
      readonly state: 'skipped' | 'upstream_failed' | 'cancelled' | 'failed';
      readonly reason: string;
    }
  /** Begin an attempt, where the executor has room; `index` for an item that may have no task yet. */
  | { readonly do: 'start'; readonly key: string; readonly index?: number }
  /** Find the items of a step with `for_each`. */
  | { readonly do: 'expand'; readonly key: string }
  | {
      readonly do: 'gather';
      readonly key: string;
      readonly state: 'succeeded' | 'failed' | 'cancelled';
      readonly reason: string;
    }
  /** Stop the processes of a running attempt. */
  | { readonly do: 'stop'; readonly key: string; readonly why: StopReason }
  | { readonly do: 'run'; readonly command: RunCommand }
  /** Nothing to do before this moment, in milliseconds since 1970. */
  | { readonly do: 'wake'; readonly atMs: number };

export type StopReason = 'cancelled' | 'timed_out';

export interface PlanInput {
  readonly spec: PipelineSpec;
  readonly expressions: Expressions;
  readonly nowMs: number;
  /** Whether a run that waits for its turn may start. */
  readonly mayStart: boolean;
  /**
   * By how much the clock jumped since a task, or for '' the run, got into its state: what waits for a time waits as long
   * as it was meant to. @default it never jumps
   */
  readonly jumpedMs?: (key: string) => number;
  /** Whether the executor has room for another task. @default always */
  readonly hasRoom?: () => boolean;
}

/**
 * What is to be done next with a run, as far as its tasks' states tell. Pure and lazy: the caller stops reading when
 * the executor has no room. Doing it and asking again leads every run to its end.
 */
export function* plan(view: RunView, input: PlanInput): Generator<Next> {
  const { run } = view;
  if (isTerminalRun(run.state)) return;
  for (const node of view.graph.values())
    if (!view.tasks.has(node.step.name)) yield create(view, node, input.nowMs);
  if (run.state === 'pending') {
    if (input.mayStart) yield { do: 'run', command: { do: 'start', fence: run.fence ?? 0 } };
    return;
  }
  yield* planEnd(view, input);
  const budget = createBudget(input.spec.maxParallel - view.running.size, input.hasRoom);
  for (const node of view.graph.values()) {
    const task = view.tasks.get(node.step.name);
    if (!task || isTerminalTask(task.state)) continue;
    if (task.items) yield* planGroup(view, node, task, input, budget);
    else yield* planTask(view, node, task, input, budget);
  }
}

function create(view: RunView, node: Node, nowMs: number): Next {
  const { project, id: run } = view.run;
  const { name } = node.step;
  return { do: 'create', task: newTask({ project, run, key: name, step: name, exit: node.exit }, nowMs) };
}

/** Whether a step's tasks are to come to an end without doing more. */
export function isHalted(view: RunView, exit: boolean): boolean {
  return exit ? view.run.stop?.force === true : view.run.stop !== undefined;
}

/** How many more tasks may start. */
export interface Budget {
  left: number;
  /** Whether one more may start now. */
  open(): boolean;
}

/** A budget of `left` starts, while there is room. */
export function createBudget(left: number, hasRoom: () => boolean = () => true): Budget {
  const budget: Budget = { left, open: () => budget.left > 0 && hasRoom() };
  return budget;
}

/** What is to be done with a task that has no items: also with the task of an item. */
function* planTask(view: RunView, node: Node, task: Task, input: PlanInput, budget: Budget): Generator<Next> {
  const { step, exit } = node;
  const halted = isHalted(view, exit);
  if (task.state === 'running') {
    yield* planRunning(node, task, halted ? 'cancelled' : undefined, input);
    return;
  }
  if (halted) {
    yield { do: 'settle', key: task.key, state: 'cancelled', reason: view.run.stop?.reason ?? '' };
    return;
  }
  if (task.state === 'backing_off') {
    yield* planRetry(task, input, budget);
    return;
  }
  if (exit !== (view.run.state === 'exiting') || !budget.open()) return;
  const ready = readiness(view, node, input);
  if (ready === 'wait') return;
  if (ready !== 'ready') yield { do: 'settle', key: task.key, ...ready };
  else if (step.forEach) yield { do: 'expand', key: task.key };
  else {
    budget.left -= 1;
    yield { do: 'start', key: task.key };
  }
}

/** Stops a running attempt that is not to go on, or whose time is over. */
export function* planRunning(
  node: Node,
  task: Task,
  why: StopReason | undefined,
  { nowMs, jumpedMs }: PlanInput,
): Generator<Next> {
  const attempt = task.attempts.at(-1);
  const deadline = (attempt?.startedAtMs ?? nowMs) + node.step.timeoutMs + (jumpedMs?.(task.key) ?? 0);
  if (why) yield { do: 'stop', key: task.key, why };
  else if (deadline <= nowMs) yield { do: 'stop', key: task.key, why: 'timed_out' };
  else yield { do: 'wake', atMs: deadline };
}

/** Starts the next attempt when its time has come. */
export function* planRetry(task: Task, { nowMs, jumpedMs }: PlanInput, budget: Budget): Generator<Next> {
  const at = (task.nextAttemptAtMs ?? nowMs) + (jumpedMs?.(task.key) ?? 0);
  if (at > nowMs) yield { do: 'wake', atMs: at };
  else if (budget.open()) {
    budget.left -= 1;
    yield { do: 'start', key: task.key, ...(task.index === undefined ? {} : { index: task.index }) };
  }
}

type Readiness =
  | 'wait'
  | 'ready'
  | { readonly state: 'skipped' | 'upstream_failed' | 'failed'; readonly reason: string };

/** Whether a step may begin: its upstreams are done, its condition holds, and what it needs is there. */
function readiness(view: RunView, node: Node, input: PlanInput): Readiness {
  const { step } = node;
  let broken: string | undefined;
  for (const name of node.upstreams) {
    const state = view.tasks.get(name)?.state ?? 'pending';
    if (!isTerminalTask(state)) return 'wait';
    if (!isDone(state)) broken ??= `step ${name} is ${state.toUpperCase()}`;
  }
  if (broken) return { state: 'upstream_failed', reason: broken };
  if (step.when) {
    const expression = input.expressions.compile(step.when);
    if ('error' in expression) return { state: 'failed', reason: `condition: ${expression.error}` };
    const seen = expression.steps.map((reference) => reference.step);
    const answer = expression.evaluate(bindings(view, input.spec, seen));
    if ('error' in answer) return { state: 'failed', reason: `condition ${step.when}: ${answer.error}` };
    if (answer.value === false) return { state: 'skipped', reason: `condition ${step.when} is false` };
    if (answer.value !== true)
      return { state: 'failed', reason: `condition ${step.when} is neither true nor false` };
  }
  const missing = missingOutput(view, node);
  return missing ? { state: 'skipped', reason: `needs ${missing}, which was not produced` } : 'ready';
}

function missingOutput(view: RunView, { step }: Node): string | undefined {
  const resolve = resolver(view, undefined);
  const optional = new Set(step.action.inputs.filter((i) => i.optional).map((i) => i.from));
  for (const { path, text } of templatesOf(step)) {
    if (optional.has(text) && path.startsWith('command.inputs')) continue;
    for (const reference of referencesOf(text))
      if (reference.kind === 'output' && resolve(reference) === undefined) return referenceText(reference);
  }
  return undefined;
}

/** Why a task that is pending waits, for people. */
export function whyPending(view: RunView, task: Task): string {
  if (view.run.state === 'pending') return 'the run waits for its turn';
  const node = view.graph.get(task.step);
  if (node?.exit && view.run.state !== 'exiting') return 'exit steps start when all other steps are done';
  const open = (node?.upstreams ?? []).filter((name) => {
    const state = view.tasks.get(name)?.state;
    return state === undefined || !isTerminalTask(state);
  });
  if (open.length > 0) return `waits for ${open.slice(0, 10).join(', ')}${open.length > 10 ? ' …' : ''}`;
  return 'waits for a place: the run’s or the executor’s limit is reached, or the same computation is running elsewhere';
}
