import type { AlertRule, RuleState } from './alert.ts';
import type { DriftRule } from './drift/judge.ts';
import type { WindowRule } from './window.ts';

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
  readonly window: WindowRule & { readonly minRows: number; readonly labelDelayMs: number };
  readonly drift: DriftRule;
  readonly prediction?: PredictionRule;
  readonly rules: readonly MonitorRule[];
  readonly paused: boolean;
  readonly description: string;
  readonly tags: readonly (readonly [key: string, value: string])[];
}

/** A monitor and how far it came. All times are event times, in milliseconds since 1970. */
export interface Monitor {
  readonly project: string;
  readonly id: string;
  readonly spec: MonitorSpec;
  /** The newest row seen. */
  readonly watermarkMs: number;
  /** The newest moment up to which ground truth is known. */
  readonly labelsMs: number;
  /** Where each rule stands, by rule id, and the window it last decided on. */
  readonly rules: readonly (readonly [rule: string, state: RuleState & { readonly windowMs: number }])[];
}

/** Moves a clock forward; undefined when it would not move. */
export function advance(
  monitor: Monitor,
  clock: 'watermarkMs' | 'labelsMs',
  toMs: number,
): Monitor | undefined {
  return toMs > monitor[clock] ? { ...monitor, [clock]: toMs } : undefined;
}

/** A monitor whose spec changed: rules that are new or changed start afresh, the others keep their place. */
export function respecify(monitor: Monitor, spec: MonitorSpec): Monitor {
  const kept = monitor.rules.filter(([id]) => {
    const before = monitor.spec.rules.find((rule) => rule.id === id);
    const after = spec.rules.find((rule) => rule.id === id);
    return after !== undefined && JSON.stringify(before) === JSON.stringify(after);
  });
  return { ...monitor, spec, rules: kept };
}
