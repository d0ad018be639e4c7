import { FeatureStatus } from '@millrace/contracts/features';
import { type FeatureView, viewPlan } from '../domain/definition.ts';
import { evaluateWindows } from '../domain/evaluate.ts';
import { entryAt } from '../domain/history.ts';
import type { Cell, ViewPlan } from '../domain/plan.ts';
import type { KeyState } from './key-cache.ts';

/** One feature of some rows as it is answered, row by row. */
export interface OnlineColumn {
  readonly cells: Cell[];
  /** A FeatureStatus for each row. */
  readonly statuses: Uint8Array;
  /** The event time of the newest row that each value came from, in microseconds; 0 when there is none. */
  readonly timesUs: BigInt64Array;
}

/**
 * Reads the named features of a view from the states of keys, each at a time of its own: a column for each name, in their
 * order. Plain features of a row have its event time in common, and where nothing is null its status too, so their columns
 * share these arrays.
 */
export function readColumns(
  view: FeatureView,
  names: readonly string[],
  states: readonly (KeyState | undefined)[],
  timesUs: readonly number[],
): readonly OnlineColumn[] {
  const wanted = new Set(names);
  const full = viewPlan(view);
  const windows = full.windows.filter((w) => wanted.has(w.name));
  const plain = view.features.flatMap(({ name }, place) => (wanted.has(name) ? [{ name, place }] : []));
  const columns = new Map<string, OnlineColumn>();
  if (plain.length > 0) readPlain(view, plain, states, timesUs, columns);
  if (windows.length > 0) readWindows({ ...full, windows }, states, timesUs, columns);
  return names.map((name) => columns.get(name)!);
}

function readPlain(
  view: FeatureView,
  wanted: readonly { readonly name: string; readonly place: number }[],
  states: readonly (KeyState | undefined)[],
  timesUs: readonly number[],
  into: Map<string, OnlineColumn>,
): void {
  const found = new Uint8Array(states.length);
  const times = new BigInt64Array(states.length);
  const cells = wanted.map(() => new Array<Cell>(states.length).fill(null));
  // A status of its own, where a column has a null in a row that counts.
  const own = new Map<number, Uint8Array>();
  const nulls: [column: number, row: number][] = [];
  for (const [row, state = []] of states.entries()) {
    const at = timesUs[row]!;
    const histories = state.map((side) => side.history);
    const entry = entryAt(histories, at);
    if (typeof entry !== 'object') {
      found[row] = entry === 'lost' ? FeatureStatus.NOT_RETAINED : FeatureStatus.NOT_FOUND;
      continue;
    }
    times[row] = BigInt(entry.timeUs);
    if (view.ttlUs > 0 && entry.timeUs < at - view.ttlUs) {
      found[row] = FeatureStatus.OUTSIDE_MAX_AGE;
      continue;
    }
    found[row] = FeatureStatus.PRESENT;
    // Row by row, as the values lie in memory.
    for (let i = 0; i < wanted.length; i++) {
      const cell = entry.cells[wanted[i]!.place] ?? null;
      if (cell === null) nulls.push([i, row]);
      else cells[i]![row] = cell;
    }
  }
  for (const [i, row] of nulls) {
    const statusesOf = own.get(i) ?? found.slice();
    statusesOf[row] = FeatureStatus.NULL_VALUE;
    own.set(i, statusesOf);
  }
  wanted.forEach(({ name }, i) => {
    into.set(name, { cells: cells[i]!, statuses: own.get(i) ?? found, timesUs: times });
  });
}

function readWindows(
  plan: ViewPlan,
  states: readonly (KeyState | undefined)[],
  timesUs: readonly number[],
  into: Map<string, OnlineColumn>,
): void {
  const rows = states.length;
  const columns = plan.windows.map(
    (): OnlineColumn => ({
      cells: new Array<Cell>(rows).fill(null),
      statuses: new Uint8Array(rows),
      timesUs: new BigInt64Array(rows),
    }),
  );
  for (const [row, state = []] of states.entries()) {
    const layers = state.map((side) => side.layer);
    const found = evaluateWindows(layers, plan, timesUs[row]!);
    for (const [i, column] of columns.entries()) {
      if (!found) {
        column.statuses[row] = FeatureStatus.NOT_RETAINED;
        continue;
      }
      const number = found.values[i]!;
      column.cells[row] = number !== null && plan.windows[i]!.fn === 'count' ? BigInt(number) : number;
      column.statuses[row] = statusOf(found.found, number);
      column.timesUs[row] = BigInt(found.newest[i]!);
    }
  }
  plan.windows.forEach(({ name }, i) => {
    into.set(name, columns[i]!);
  });
}

function statusOf(isKnown: boolean, value: number | null): FeatureStatus {
  if (!isKnown) return FeatureStatus.NOT_FOUND;
  return value === null ? FeatureStatus.NULL_VALUE : FeatureStatus.PRESENT;
}
