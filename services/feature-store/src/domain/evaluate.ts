import { type Aggregate, addStored, addValue, emptyAggregate, resultOf, storedWidth } from './aggregate.ts';
import { countUpTo, type Layer, rawWidth, tileHead, tileWidth } from './layer.ts';
import type { ViewPlan } from './plan.ts';
import { windowStart } from './window.ts';

/** What a window holds at a moment. */
interface WindowState {
  readonly windowUs: number;
  readonly start: number;
  rows: number;
  newest: number;
  readonly measures: readonly Aggregate[];
}

/** The values of a view's window features at a moment. */
export interface WindowValues {
  readonly values: readonly (number | null)[];
  /** For each feature the time of the newest row in its window; 0 when it is empty. */
  readonly newest: readonly number[];
  /** Whether any row of the key is known up to the moment. */
  readonly found: boolean;
}

/**
 * The values of all window features at a moment, over the rows of several layers together; `undefined` when one of the
 * layers is no longer exact so far back.
 */
export function evaluateWindows(
  layers: readonly Layer[],
  plan: ViewPlan,
  at: number,
): WindowValues | undefined {
  if (layers.some((layer) => at < layer.exactFromUs)) return undefined;
  const states = [...new Set(plan.windows.map((w) => w.windowUs))].map((windowUs) => ({
    windowUs,
    start: windowStart(at, windowUs),
    rows: 0,
    newest: Number.NEGATIVE_INFINITY,
    measures: plan.measures.map(emptyAggregate),
  }));
  let found = false;
  for (const layer of layers) {
    if (layer.exactFromUs > Number.NEGATIVE_INFINITY) found = true;
    found = takeRaw(layer, plan, at, states) || found;
    found = takeTiles(layer, plan, at, states) || found;
  }
  const of = (windowUs: number) => states.find((s) => s.windowUs === windowUs)!;
  const values = plan.windows.map(({ fn, measure, windowUs }) => {
    const state = of(windowUs);
    if (measure < 0) return state.rows;
    return resultOf(fn, state.measures[measure]!, plan.measures[measure]!.places);
  });
  return { values, newest: plan.windows.map((w) => Math.max(0, of(w.windowUs).newest)), found };
}

function takeRaw({ raw }: Layer, plan: ViewPlan, at: number, states: readonly WindowState[]): boolean {
  const width = rawWidth(plan);
  const end = countUpTo(raw, width, at);
  for (const state of states) {
    for (let row = countUpTo(raw, width, state.start); row < end; row++) {
      const i = row * width;
      state.rows += 1;
      state.newest = Math.max(state.newest, raw[i]!);
      for (let c = 0; c < plan.measures.length; c++) {
        addValue(state.measures[c]!, raw[i + 1 + c]!, plan.measures[c]!);
      }
    }
  }
  return end > 0;
}

function takeTiles({ tiles }: Layer, plan: ViewPlan, at: number, states: readonly WindowState[]): boolean {
  const width = tileWidth(plan);
  const end = countUpTo(tiles, width, at);
  for (const state of states) {
    for (let tile = countUpTo(tiles, width, state.start); tile < end; tile++) {
      const i = tile * width;
      state.rows += tiles[i + 2]!;
      state.newest = Math.max(state.newest, tiles[i + 3]!);
      for (let c = 0; c < plan.measures.length; c++) {
        addStored(state.measures[c]!, tiles, i + tileHead + c * storedWidth, plan.measures[c]!);
      }
    }
  }
  return end > 0;
}
