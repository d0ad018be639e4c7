import { type FeatureView, viewPlan } from '../domain/definition.ts';
import { evaluateWindows } from '../domain/evaluate.ts';
import { entryAt } from '../domain/history.ts';
import type { Cell, ViewPlan } from '../domain/plan.ts';
import type { KeyState } from './key-cache.ts';

/** How a value came about. */
export const statuses = ['present', 'null', 'not_found', 'outside_max_age', 'not_retained'] as const;
export type Status = (typeof statuses)[number];

/** One feature of some rows as it is answered, row by row. */
export interface OnlineColumn {
  readonly cells: Cell[];
  /** Indexes into {@link statuses}. */
  readonly statuses: Uint8Array;
  /** The event time of the newest row that each value came from, in microseconds; 0 when there is none. */
  readonly timesUs: BigInt64Array;
}

const statusOf = Object.fromEntries(statuses.map((status, i) => [status, i])) as Record<Status, number>;

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
  const places = new Map(view.features.map(({ name }, i) => [name, i]));
  const columns = new Map<string, OnlineColumn>();
  if (names.some((name) => places.has(name))) {
    const rows = readPlain(view, states, timesUs);
    for (const name of names) {
      const place = places.get(name);
      if (place !== undefined) columns.set(name, plainColumn(rows, place));
    }
  }
  if (windows.length > 0) readWindows({ ...full, windows }, states, timesUs, columns);
  return names.map((name) => columns.get(name)!);
}

interface PlainRows {
  readonly cells: readonly (readonly Cell[] | undefined)[];
  readonly statuses: Uint8Array;
  readonly timesUs: BigInt64Array;
}

/** The row of each key that holds its plain features; no cells where there is none that counts. */
function readPlain(
  view: FeatureView,
  states: readonly (KeyState | undefined)[],
  timesUs: readonly number[],
): PlainRows {
  const found = new Uint8Array(states.length);
  const times = new BigInt64Array(states.length);
  const cells = states.map((state = [], row) => {
    const at = timesUs[row]!;
    const histories = state.map((side) => side.history);
    const entry = entryAt(histories, at);
    if (typeof entry !== 'object') {
      found[row] = statusOf[entry === 'lost' ? 'not_retained' : 'not_found'];
      return undefined;
    }
    times[row] = BigInt(entry.timeUs);
    if (view.ttlUs === 0 || entry.timeUs >= at - view.ttlUs) return entry.cells;
    found[row] = statusOf.outside_max_age;
    return undefined;
  });
  return { cells, statuses: found, timesUs: times };
}

function plainColumn(rows: PlainRows, place: number): OnlineColumn {
  let own: Uint8Array | undefined;
  const cells = rows.cells.map((row, i) => {
    if (!row) return null;
    const cell = row[place] ?? null;
    if (cell === null) {
      own ??= rows.statuses.slice();
      own[i] = statusOf.null;
    }
    return cell;
  });
  return { cells, statuses: own ?? rows.statuses, timesUs: rows.timesUs };
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
        column.statuses[row] = statusOf.not_retained;
        continue;
      }
      const number = found.values[i]!;
      column.cells[row] = number !== null && plan.windows[i]!.fn === 'count' ? BigInt(number) : number;
      column.statuses[row] = statusOf[found.found ? (number === null ? 'null' : 'present') : 'not_found'];
      column.timesUs[row] = BigInt(found.newest[i]!);
    }
  }
  plan.windows.forEach(({ name }, i) => {
    into.set(name, columns[i]!);
  });
}
