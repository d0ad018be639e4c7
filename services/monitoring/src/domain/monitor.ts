import type { AlertRule, RuleState } from './alert.ts';
import type { DriftRule } from './drift/judge.ts';
import { eventNow } from './silence.ts';
import { nextWindow, type WindowRule } from './window.ts';

/** What a model predicts. */
export interface PredictionRule {
  readonly task: 'binary-classification' | 'regression';
  readonly column: string;
  /** Scores from here on count as yes. */
  readonly threshold: number;
}

/** How grave an alarm is. */
export type Severity = 'info' | 'warning' | 'critical';

/** A rule as a monitor keeps it. */
export interface MonitorRule extends AlertRule {
  readonly severity: Severity;
  readonly description: string;
}

/** What a user asks to be watched. */
export interface MonitorSpec {
  readonly deployment: string;
  /** The baseline's full name; empty when drift is not judged. */
  readonly baseline: string;
  readonly window: WindowRule & {
    readonly minRows: number;
    readonly labelDelayMs: number;
    /** After how long without rows event time goes on by the clock; without it, never. */
    readonly idleMs?: number;
  };
  readonly drift: DriftRule;
  readonly prediction?: PredictionRule;
  readonly rules: readonly MonitorRule[];
  readonly paused: boolean;
  readonly description: string;
  readonly tags: readonly (readonly [key: string, value: string])[];
}

/** A monitor and how far it came. Its clocks are event times, in milliseconds since 1970. */
export interface Monitor {
  readonly project: string;
  readonly id: string;
  /** How many monitors of its name were deleted before; absent for the first. */
  readonly again?: number;
  /** Counts the specs it had: its etag. What it has seen moves on all the time and is no change to it. */
  readonly revision: number;
  /** When it was made and when its spec last changed, by the service's clock. */
  readonly createdMs: number;
  readonly appliedMs: number;
  readonly spec: MonitorSpec;
  /** The newest row seen. */
  readonly watermarkMs: number;
  /** The newest moment up to which ground truth is known. */
  readonly labelsMs: number;
  /** When the newest rows came in, by the service's clock. */
  readonly takenMs?: number;
  /** Where windows without rows are looked for: the first that is expected, and how many in a row had none. */
  readonly expected?: Expected;
  /** Where each rule stands, by rule id, and the window it last decided on. */
  readonly rules: readonly (readonly [rule: string, state: RuleState & { readonly windowMs: number }])[];
}

/** The next window that is expected, by its start, and how many before it had no rows. */
export interface Expected {
  readonly startMs: number;
  readonly empty: number;
}

/** Moves a clock forward; undefined when it would not move. */
export function advance(
  monitor: Monitor,
  clock: 'watermarkMs' | 'labelsMs',
  toMs: number,
): Monitor | undefined {
  return toMs > monitor[clock] ? { ...monitor, [clock]: toMs } : undefined;
}

/** Notes that rows came in, the newest of this moment; undefined when that is nothing new. */
export function took(monitor: Monitor, newestMs: number, nowMs: number): Monitor | undefined {
  const moved = advance(monitor, 'watermarkMs', newestMs);
  const { idleMs } = monitor.spec.window;
  // Old rows, too, are no silence; to note each of them would be too much.
  const isDue = idleMs !== undefined && nowMs - (monitor.takenMs ?? 0) > idleMs / 4;
  if (!moved && !isDue) return undefined;
  const next = { ...(moved ?? monitor), takenMs: nowMs };
  if (Number.isFinite(monitor.watermarkMs)) return next;
  // The first rows tell what time it is: windows are expected from theirs on.
  const { expected: _, ...first } = next;
  return first;
}

/** A monitor that has seen nothing yet, after so many others of its name. */
export function newMonitor(
  project: string,
  id: string,
  spec: MonitorSpec,
  nowMs: number,
  again = 0,
): Monitor {
  const unseen = Number.NEGATIVE_INFINITY;
  const clocks = { watermarkMs: unseen, labelsMs: unseen, takenMs: nowMs };
  const monitor = {
    project,
    id,
    ...(again > 0 ? { again } : {}),
    revision: 1,
    createdMs: nowMs,
    appliedMs: nowMs,
    spec,
    ...clocks,
    rules: [],
  };
  return { ...monitor, expected: { startMs: nextWindow(nowMs, spec.window), empty: 0 } };
}

/**
 * A monitor whose spec changed: rules that are new or changed start afresh, the others keep their place. For another
 * deployment its clocks start afresh too.
 */
export function respecify(monitor: Monitor, spec: MonitorSpec, nowMs: number): Monitor {
  const dropped = droppedRules(monitor, spec);
  const rules = monitor.rules.filter(([id]) => !dropped.includes(id));
  const revision = monitor.revision + 1;
  const unseen = Number.NEGATIVE_INFINITY;
  const clocks =
    spec.deployment === monitor.spec.deployment
      ? { takenMs: monitor.takenMs ?? nowMs }
      : { takenMs: nowMs, watermarkMs: unseen, labelsMs: unseen };
  const next = { ...monitor, ...clocks, revision, appliedMs: nowMs, spec, rules };
  const { window, paused } = monitor.spec;
  if (!cutsDifferently(monitor.spec, spec) && paused === spec.paused && window.idleMs === spec.window.idleMs)
    return next;
  // What silence there was before is not the new spec's.
  return { ...next, expected: { startMs: nextWindow(eventNow(next, nowMs), spec.window), empty: 0 } };
}

/** The rules that a new spec removes or changes: their alarms no longer stand for anything. */
export function droppedRules(monitor: Monitor, spec: MonitorSpec): readonly string[] {
  return monitor.spec.rules
    .filter((before) => {
      const after = spec.rules.find((rule) => rule.id === before.id);
      return JSON.stringify(before) !== JSON.stringify(after);
    })
    .map((rule) => rule.id);
}

/** Whether a new spec cuts rows differently: windows that are open then end with what they have. */
export function cutsDifferently(before: MonitorSpec, after: MonitorSpec): boolean {
  return (
    before.deployment !== after.deployment ||
    before.window.lengthMs !== after.window.lengthMs ||
    before.window.offsetMs !== after.window.offsetMs
  );
}
