import { type FeatureView, viewPlan } from '../domain/definition.ts';
import { evaluateWindows } from '../domain/evaluate.ts';
import { entryAt } from '../domain/history.ts';
import type { Cell, ViewPlan } from '../domain/plan.ts';
import type { KeyState } from './key-cache.ts';

export type Status = 'present' | 'null' | 'not_found' | 'outside_max_age' | 'not_retained';

/** One value as it is answered. */
export interface OnlineValue {
  readonly value: Cell;
  readonly status: Status;
  /** The event time of the newest row it came from; 0 when there is none. */
  readonly timeUs: number;
}

/** Makes the function that reads the named features of a view from a key's state. */
export function reader(
  view: FeatureView,
  names: readonly string[],
): (state: KeyState | undefined, at: number) => OnlineValue[] {
  const full = viewPlan(view);
  const windows = full.windows.filter((w) => names.includes(w.name));
  const plan: ViewPlan = { ...full, windows };
  const places = names.map((name) => ({
    plain: view.features.findIndex((f) => f.name === name),
    window: windows.findIndex((w) => w.name === name),
  }));
  const wantsPlain = places.some((p) => p.plain >= 0);
  return (state = [], at) => {
    const plain = wantsPlain ? readPlain(view, state, at) : undefined;
    const values = windows.length > 0 ? readWindows(state, plan, at) : [];
    return places.map((p) => (p.window >= 0 ? values[p.window]! : plain!(p.plain)));
  };
}

function readPlain(view: FeatureView, state: KeyState, at: number): (feature: number) => OnlineValue {
  const entry = entryAt(
    state.map((side) => side.history),
    at,
  );
  if (entry === undefined) return () => ({ value: null, status: 'not_found', timeUs: 0 });
  if (entry === 'lost') return () => ({ value: null, status: 'not_retained', timeUs: 0 });
  const { timeUs, cells } = entry;
  if (view.ttlUs > 0 && timeUs < at - view.ttlUs) {
    return () => ({ value: null, status: 'outside_max_age', timeUs });
  }
  return (feature) => {
    const value = cells[feature] ?? null;
    return { value, status: value === null ? 'null' : 'present', timeUs };
  };
}

function readWindows(state: KeyState, plan: ViewPlan, at: number): readonly OnlineValue[] {
  const layers = state.map((side) => side.layer);
  const found = evaluateWindows(layers, plan, at);
  if (!found) return plan.windows.map(() => ({ value: null, status: 'not_retained', timeUs: 0 }));
  return plan.windows.map(({ fn }, i) => {
    const number = found.values[i]!;
    const value = number !== null && fn === 'count' ? BigInt(number) : number;
    const status = found.found ? (value === null ? 'null' : 'present') : 'not_found';
    return { value, status, timeUs: found.newest[i]! };
  });
}
