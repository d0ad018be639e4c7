import type { Cell } from './plan.ts';

/** A row as plain features need it. */
export interface Entry {
  readonly timeUs: number;
  readonly createdUs: number | null;
  /** The values of the plain features' columns. */
  readonly cells: readonly Cell[];
}

/** The newest rows of one key by time, one for each event time. */
export interface History {
  readonly entries: readonly Entry[];
  /** Whether there were rows before the first one. */
  readonly dropped: boolean;
}

export const emptyHistory: History = { entries: [], dropped: false };

/** Most rows that are kept of a key. */
const longestHistory = 512;

/** Adds rows in any order; of the same event time the one that {@link compareEntries} puts last is kept. */
export function addEntries(history: History, added: readonly Entry[], horizonUs: number): History {
  const byTime = new Map(history.entries.map((e) => [e.timeUs, e]));
  let { dropped } = history;
  const first = history.entries[0]?.timeUs ?? Number.NEGATIVE_INFINITY;
  for (const given of added) {
    const entry = unsigned(given);
    // A row before the first kept one changes no value that is still answered.
    if (dropped && entry.timeUs < first) continue;
    const other = byTime.get(entry.timeUs);
    if (!other || compareEntries(entry, other) > 0) byTime.set(entry.timeUs, entry);
  }
  const entries = [...byTime.values()].sort((a, b) => a.timeUs - b.timeUs);
  const from = (entries.at(-1)?.timeUs ?? 0) - horizonUs;
  let keep = Math.max(0, entries.length - longestHistory);
  while (keep + 1 < entries.length && entries[keep + 1]!.timeUs <= from) keep++;
  dropped ||= keep > 0;
  return { entries: entries.slice(keep), dropped };
}

/** Negative zero is zero: the two are equal, so which of them a tie is decided for would be chance. */
function unsigned(entry: Entry): Entry {
  if (!entry.cells.some((cell) => Object.is(cell, -0))) return entry;
  return { ...entry, cells: entry.cells.map((cell) => (Object.is(cell, -0) ? 0 : cell)) };
}

/** The newest row up to a moment; `lost` when the row that was newest then is no longer known. */
export function entryAt(histories: readonly History[], at: number): Entry | 'lost' | undefined {
  let best: Entry | undefined;
  for (const { entries, dropped } of histories) {
    const entry = entries.findLast((e) => e.timeUs <= at);
    if (!entry && dropped) return 'lost';
    if (entry && (!best || entry.timeUs > best.timeUs || tie(entry, best))) best = entry;
  }
  return best;
}

const tie = (a: Entry, b: Entry) => a.timeUs === b.timeUs && compareEntries(a, b) > 0;

/**
 * The order of rows of the same key and event time: by creation, then by values. Null is greatest, as in DuckDB's order
 * of structs, so that offline and online choose the same row.
 */
export function compareEntries(a: Entry, b: Entry): number {
  const created = compareCells(a.createdUs, b.createdUs, -1);
  if (created !== 0) return created;
  for (let i = 0; i < a.cells.length; i++) {
    const order = compareCells(a.cells[i] ?? null, b.cells[i] ?? null, 1);
    if (order !== 0) return order;
  }
  return 0;
}

function compareCells(a: Cell, b: Cell, nullRank: 1 | -1): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? nullRank : -nullRank;
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (typeof a === 'number' && typeof b === 'number') {
    // NaN is the greatest number.
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
