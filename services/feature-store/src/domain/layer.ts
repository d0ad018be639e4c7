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

/**
 * Up to so many rows behind the horizon stay rows. Each push would move some of them into tiles, and as long as a tile
 * holds only a few rows they take less room than it.
 */
const fewRows = 512;

/**
 * Adds rows (as in `raw`, in any order), and then lets what is older than the horizon coarsen if it is more than `few`
 * rows, or if there are tiles that have to go.
 */
export function addRows(
  layer: Layer,
  rows: Float64Array,
  plan: ViewPlan,
  horizonUs: number,
  few = fewRows,
): Layer {
  const raw = mergeByTime(layer.raw, rows, rawWidth(plan));
  return coarsen({ ...layer, raw }, plan, newestOf(raw, plan) - horizonUs, few);
}

/** The same for a layer that gets no rows itself: rows of its key up to `newestUs` are in another layer. */
export const ageLayer = (
  layer: Layer,
  plan: ViewPlan,
  newestUs: number,
  horizonUs: number,
  few = fewRows,
): Layer => coarsen(layer, plan, newestUs - horizonUs, few);

/** The time of the newest of rows that are in order; -Infinity when there are none. */
export const newestOf = (raw: Float64Array, plan: ViewPlan): number =>
  raw[raw.length - rawWidth(plan)] ?? Number.NEGATIVE_INFINITY;

/**
 * Turns raw rows up to the end of the horizon into tiles, finer tiles into coarser ones, and drops what no window reaches
 * any more. Values read from there on stay exact.
 */
function coarsen(layer: Layer, plan: ViewPlan, from: number, few: number): Layer {
  if (from === Number.NEGATIVE_INFINITY) return layer;
  const width = rawWidth(plan);
  const { raw } = layer;
  const cuts = cutsOf(plan, from);
  const [past, gone] = [countUpTo(raw, width, cuts[0]), countUpTo(raw, width, cuts[3])];
  const exactFromUs = Math.max(layer.exactFromUs, cuts[0]);
  // The last cut moves a day at a time for the most part, so not every push makes all tiles anew.
  const isStale = layer.tiles.length > 0 && layer.tiles[0]! <= cuts[3];
  if (past - gone > few || isStale) {
    const tiles = tilesOf(layer, raw.subarray(0, past * width), plan, cuts);
    return { raw: raw.slice(past * width), tiles, exactFromUs };
  }
  return gone === 0 ? layer : { ...layer, raw: raw.slice(gone * width), exactFromUs };
}

/** A layer's tiles with some rows more, as coarse as the cuts say. */
function tilesOf({ tiles: stored }: Layer, rows: Float64Array, plan: ViewPlan, cuts: Cuts): Float64Array {
  const tiles = new Map<string, Tile>();
  const step = tileWidth(plan);
  for (let i = 0; i < stored.length; i += step) {
    const tile = tileFor(tiles, plan, stored[i]!, stored[i + 1]!, cuts);
    if (!tile) continue;
    tile.rows += stored[i + 2]!;
    tile.newest = Math.max(tile.newest, stored[i + 3]!);
    tile.measures.forEach((m, c) => {
      addStored(m, stored, i + tileHead + c * storedWidth, plan.measures[c]!);
    });
  }
  for (let i = 0; i < rows.length; i += rawWidth(plan)) {
    const tile = tileFor(tiles, plan, rows[i]!, 0, cuts);
    if (!tile) continue;
    tile.rows += 1;
    tile.newest = Math.max(tile.newest, rows[i]!);
    tile.measures.forEach((m, c) => {
      addValue(m, rows[i + 1 + c]!, plan.measures[c]!);
    });
  }
  return storeTiles([...tiles.values()], step);
}

/** How many rows of a matrix that is ordered by its first column have a time up to `at`. */
export function countUpTo(data: Float64Array, width: number, at: number): number {
  let [low, high] = [0, data.length / width];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (data[middle * width]! <= at) low = middle + 1;
    else high = middle;
  }
  return low;
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
