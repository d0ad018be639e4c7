import { type Entry, emptyHistory, type History } from '../domain/history.ts';
import { emptyLayer, type Layer } from '../domain/layer.ts';
import type { Cell } from '../domain/plan.ts';

/** One side of a key's rows: those of the source, or those that were pushed. */
export interface KeySide {
  readonly layer: Layer;
  readonly history: History;
}

export const emptySide: KeySide = { layer: emptyLayer, history: emptyHistory };

/** A side as it is stored; numbers are 64-bit floating point in the order of the machine (little-endian everywhere we run). */
export interface StoredSide {
  readonly raw: Uint8Array;
  readonly tiles: Uint8Array;
  readonly exactFromUs: number;
  readonly entries: readonly (readonly [number, number | null, readonly Cell[]])[];
  readonly dropped: boolean;
}

/** The online values of one key. */
export interface OnlineDoc {
  readonly generation: string;
  readonly key: string;
  /** The rows of the source. */
  readonly batch: StoredSide | null;
  /** Up to which event time the source's rows are in. */
  readonly batchEndUs: number;
  /** The materialization that wrote it last. */
  readonly batchRun: string;
  /** The rows that were pushed. */
  readonly pushed: StoredSide | null;
  /** The ids of pushes it holds, so that one applied twice changes nothing: the newest, and all that may come again. */
  readonly pushes: readonly string[];
}

/** How many pushes a key remembers at least. */
const keptPushes = 32;

export const emptyDoc = (generation: string, key: string): OnlineDoc => ({
  generation,
  key,
  batch: null,
  batchEndUs: Number.NEGATIVE_INFINITY,
  batchRun: '',
  pushed: null,
  pushes: [],
});

/** Marks of the first layout are the random end of an id alone. */
const shortMark = 12;

export const holdsPush = (doc: OnlineDoc, pushId: string): boolean =>
  doc.pushes.includes(pushId) || doc.pushes.includes(pushId.slice(-shortMark));

/**
 * The pushes that a key remembers with one more. Ids sort by time: from `floor` on there are pushes of which some keys
 * lack their rows, which will be applied again, so none of these is forgotten.
 */
export function withPush(doc: OnlineDoc, pushId: string, floor: string): readonly string[] {
  const marks = [...doc.pushes, pushId];
  const newest = marks.length - keptPushes;
  return marks.filter((mark, i) => i >= newest || (mark.length > shortMark && mark >= floor));
}

export function storeSide({ layer, history }: KeySide): StoredSide {
  return {
    raw: bytesOf(layer.raw),
    tiles: bytesOf(layer.tiles),
    exactFromUs: layer.exactFromUs,
    entries: history.entries.map((e) => [e.timeUs, e.createdUs, e.cells] as const),
    dropped: history.dropped,
  };
}

export function readSide(side: StoredSide | null): KeySide {
  if (!side) return emptySide;
  const entries = side.entries.map(([timeUs, createdUs, cells]): Entry => ({ timeUs, createdUs, cells }));
  const layer = { raw: numbersOf(side.raw), tiles: numbersOf(side.tiles), exactFromUs: side.exactFromUs };
  return { layer, history: { entries, dropped: side.dropped } };
}

/** The time of the oldest row or tile of a side; infinity when it has none. */
export const oldestOf = ({ raw, tiles }: StoredSide): number => Math.min(firstOf(raw), firstOf(tiles));

function firstOf(bytes: Uint8Array): number {
  if (bytes.length === 0) return Number.POSITIVE_INFINITY;
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
}

const bytesOf = (numbers: Float64Array) =>
  new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);

/** Copies, because stored bytes need not lie at a multiple of eight. */
const numbersOf = (bytes: Uint8Array) => new Float64Array(bytes.slice().buffer);
