import { type Aggregate, addStored, addValue, emptyAggregate, storedWidth } from './aggregate.ts';
import { toLimbs, total } from './exact.ts';
import type { ViewPlan } from './plan.ts';
import { ceilTo, floorTo } from './time.ts';
import { hops } from './window.ts';

/**
 * The rows of one key as windows need them: raw rows for the recent past, tiles for what lies further back. Everything
 * in it adds up the same in whatever order rows came.
 */
export interface Layer {
  /** Rows by time: time, then one number for each measure (NaN for null). */
  readonly raw: Float64Array;
  /** Tiles by end: end, hop, rows, time of the newest row, then for each measure a stored aggregate. */
  readonly tiles: Float64Array;
  /** Windows that end before this are no longer exact. */
  readonly exactFromUs: number;
}

export const emptyLayer: Layer = {
  raw: new Float64Array(0),
  tiles: new Float64Array(0),
  exactFromUs: Number.NEGATIVE_INFINITY,
};

/** How many numbers of a tile stand before its aggregates. */
export const tileHead = 4;

export const rawWidth = (plan: ViewPlan): number => 1 + plan.measures.length;
export const tileWidth = (plan: ViewPlan): number => tileHead + plan.measures.length * storedWidth;

/** A tile while rows are added to it. */
interface Tile {
  readonly end: number;
  readonly hop: number;
  rows: number;
  newest: number;
  readonly measures: readonly Aggregate[];
}

/** Adds rows (as in `raw`, in any order) and then lets what is older than the horizon coarsen. */
export function addRows(layer: Layer, rows: Float64Array, plan: ViewPlan, horizonUs: number): Layer {
  return coarsen({ ...layer, raw: mergeByTime(layer.raw, rows, rawWidth(plan)) }, plan, horizonUs);
}

/**
 * Turns raw rows older than the horizon into tiles, finer tiles into coarser ones, and drops what no window reaches any
 * more. The horizon counts back from the newest row; values read from there on stay exact.
 */
function coarsen(layer: Layer, plan: ViewPlan, horizonUs: number): Layer {
  const width = rawWidth(plan);
  const { raw } = layer;
  if (raw.length === 0) return layer;
  const from = raw[raw.length - width]! - horizonUs;
  const cuts = cutsOf(plan, from);
  let keep = 0;
  while (keep < raw.length && raw[keep]! <= cuts[0]) keep += width;
  const stored = layer.tiles;
  const step = tileWidth(plan);
  let stale = keep > 0;
  for (let i = 0; i < stored.length && !stale; i += step) {
    stale = hopAt(stored[i]!, cuts) !== stored[i + 1];
  }
  if (!stale) return layer;
  const tiles = new Map<string, Tile>();
  for (let i = 0; i < stored.length; i += step) {
    const tile = tileFor(tiles, plan, stored[i]!, stored[i + 1]!, cuts);
    if (!tile) continue;
    tile.rows += stored[i + 2]!;
    tile.newest = Math.max(tile.newest, stored[i + 3]!);
    tile.measures.forEach((m, c) => {
      addStored(m, stored, i + tileHead + c * storedWidth, plan.measures[c]!);
    });
  }
  for (let i = 0; i < keep; i += width) {
    const tile = tileFor(tiles, plan, raw[i]!, 0, cuts);
    if (!tile) continue;
    tile.rows += 1;
    tile.newest = Math.max(tile.newest, raw[i]!);
    tile.measures.forEach((m, c) => {
      addValue(m, raw[i + 1 + c]!, plan.measures[c]!);
    });
  }
  const exactFromUs = Math.max(layer.exactFromUs, cuts[0]);
  return { raw: raw.slice(keep), tiles: storeTiles([...tiles.values()], step), exactFromUs };
}

type Cuts = readonly [number, number, number, number];

/** Up to each cut (inclusive) a finer form is no longer needed: raw, five minutes, one hour, anything at all. */
function cutsOf(plan: ViewPlan, from: number): Cuts {
  const [fine, hour, day] = plan.longestUs;
  const first = floorTo(from, hops[0]);
  const second = Math.min(first, floorTo(from - (fine === 0 ? 0 : fine + hops[0]), hops[1]));
  const third = Math.min(second, floorTo(from - (hour === 0 ? 0 : hour + hops[1]), hops[2]));
  const last = Math.min(third, floorTo(from - (day === 0 ? 0 : day + hops[2]), hops[2]));
  return [first, second, third, last];
}

/** The hop of the tile that holds what ended at `end`; 0 when it need not be kept. */
function hopAt(end: number, [, second, third, last]: Cuts): number {
  if (end <= last) return 0;
  if (end <= third) return hops[2];
  return end <= second ? hops[1] : hops[0];
}

function tileFor(tiles: Map<string, Tile>, plan: ViewPlan, time: number, was: number, cuts: Cuts) {
  const due = hopAt(time, cuts);
  if (due === 0) return undefined;
  const hop = Math.max(due, was);
  const end = ceilTo(time, hop);
  const id = `${hop}:${end}`;
  let tile = tiles.get(id);
  if (!tile) {
    tile = {
      end,
      hop,
      rows: 0,
      newest: Number.NEGATIVE_INFINITY,
      measures: plan.measures.map(emptyAggregate),
    };
    tiles.set(id, tile);
  }
  return tile;
}

function storeTiles(tiles: Tile[], step: number): Float64Array {
  tiles.sort((a, b) => a.end - b.end || a.hop - b.hop);
  const stored = new Float64Array(tiles.length * step);
  tiles.forEach((tile, t) => {
    const at = t * step;
    stored.set([tile.end, tile.hop, tile.rows, tile.newest], at);
    tile.measures.forEach((m, c) => {
      const limbs = [...toLimbs(total(m.sum)), ...toLimbs(total(m.squares))];
      stored.set([m.count, ...limbs, m.min, m.max], at + tileHead + c * storedWidth);
    });
  });
  return stored;
}

/** Merges rows by time; the first list is ordered, the second need not be. */
function mergeByTime(ordered: Float64Array, added: Float64Array, width: number): Float64Array {
  if (added.length === 0) return ordered;
  const order = Array.from({ length: added.length / width }, (_, i) => i * width);
  order.sort((a, b) => added[a]! - added[b]!);
  const merged = new Float64Array(ordered.length + added.length);
  let [i, out] = [0, 0];
  for (const j of order) {
    const from = i;
    while (i < ordered.length && ordered[i]! <= added[j]!) i += width;
    merged.set(ordered.subarray(from, i), out);
    out += i - from;
    merged.set(added.subarray(j, j + width), out);
    out += width;
  }
  merged.set(ordered.subarray(i), out);
  return merged;
}
