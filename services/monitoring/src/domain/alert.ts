import { short } from './drift/judge.ts';

/** When an alarm is raised and resolved. */
export interface AlertRule {
  readonly id: string;
  readonly metric: string;
  readonly comparison: 'at-least' | 'at-most';
  readonly threshold: number;
  readonly raiseAfter: number;
  readonly resolveThreshold: number;
  readonly resolveAfter: number;
}

/** Where a rule stands: its alarm, and how many windows in a row spoke for a change. */
export interface RuleState {
  /** The id of the alarm that stands. */
  readonly alert?: string;
  readonly streak: number;
}

/** What a rule decides about one report. */
export type AlertDecision =
  | { readonly kind: 'raise' | 'resolve'; readonly state: RuleState; readonly reason: string }
  | { readonly kind: 'stay'; readonly state: RuleState };

/**
 * Decides on one report: raises after enough windows in a row fulfil the rule, resolves after enough are behind the
 * resolve threshold; between the two thresholds nothing changes and streaks end. A missing value decides nothing.
 */
export function decideAlert(
  rule: AlertRule,
  state: RuleState,
  value: number | undefined,
  newAlertId: string,
): AlertDecision {
  if (value === undefined || Number.isNaN(value)) return { kind: 'stay', state };
  const atLeast = rule.comparison === 'at-least';
  const fulfilled = atLeast ? value >= rule.threshold : value <= rule.threshold;
  const behind = !fulfilled && (atLeast ? value <= rule.resolveThreshold : value >= rule.resolveThreshold);
  if (!(state.alert ? behind : fulfilled)) return { kind: 'stay', state: { ...state, streak: 0 } };
  const streak = state.streak + 1;
  const needed = state.alert ? rule.resolveAfter : rule.raiseAfter;
  if (streak < needed) return { kind: 'stay', state: { ...state, streak } };
  const windows = needed === 1 ? '' : ` for ${needed} windows`;
  if (state.alert) {
    const sign = atLeast ? '<=' : '>=';
    const reason = `${rule.metric} is ${short(value)} ${sign} ${short(rule.resolveThreshold)}${windows}`;
    return { kind: 'resolve', state: { streak: 0 }, reason };
  }
  const sign = atLeast ? '>=' : '<=';
  const reason = `${rule.metric} is ${short(value)} ${sign} ${short(rule.threshold)}${windows}`;
  return { kind: 'raise', state: { alert: newAlertId, streak: 0 }, reason };
}
