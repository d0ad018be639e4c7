import type { Point } from './metric.ts';

/** The points of one batch in columns: one entry per point in each, in the order in which they were given. */
export interface PointColumns {
  readonly count: number;
  /** The different keys of the batch. */
  readonly keys: readonly string[];
  /** The bytes of a Float64Array. */
  readonly values: Uint8Array;
  /** The bytes of a BigInt64Array. */
  readonly steps: Uint8Array;
  /** Milliseconds since 1970: the bytes of a Float64Array, exact for every date. */
  readonly times: Uint8Array;
  /** Index into `keys`: the bytes of a Uint16Array. */
  readonly keyIndexes: Uint8Array;
}

/** The columns as what they are the bytes of. */
export interface PointViews {
  readonly values: Float64Array;
  readonly steps: BigInt64Array;
  readonly times: Float64Array;
  readonly keyIndexes: Uint16Array;
}

/** A point as it is logged; its time is given or now. */
export interface LoggedPoint extends Omit<Point, 'timestampMs'> {
  readonly timestampMs?: bigint | number | undefined;
}

/** Puts points into columns. Typed arrays are little-endian on every machine that Node 24 runs on. */
export function toColumns(points: readonly LoggedPoint[], nowMs: number): PointColumns {
  const count = points.length;
  const places = new Map<string, number>();
  const keyIndexes = new Uint16Array(count);
  const values = new Float64Array(count);
  const steps = new BigInt64Array(count);
  const times = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const { key, value, step, timestampMs } = points[i]!;
    let place = places.get(key);
    if (place === undefined) {
      place = places.size;
      places.set(key, place);
    }
    keyIndexes[i] = place;
    values[i] = value;
    steps[i] = step;
    times[i] = timestampMs === undefined ? nowMs : Number(timestampMs);
  }
  if (places.size > 0xffff) throw new RangeError(`${places.size} keys do not fit a batch`);
  return {
    count,
    keys: [...places.keys()],
    // Stored one after the other in this order: what has entries of eight bytes stays aligned.
    values: bytesOf(values),
    steps: bytesOf(steps),
    times: bytesOf(times),
    keyIndexes: bytesOf(keyIndexes),
  };
}

/** The points of the columns, all or those of some keys, in the order in which they were given. */
export function fromColumns(columns: PointColumns, only?: ReadonlySet<string>): Point[] {
  const wanted = columns.keys.map((key) => !only || only.has(key));
  if (!wanted.includes(true)) return [];
  const { keyIndexes, values, steps, times } = viewsOf(columns);
  const points: Point[] = [];
  for (const [i, place] of keyIndexes.entries()) {
    if (!wanted[place]) continue;
    const key = columns.keys[place] ?? '';
    points.push({ key, value: values[i] ?? 0, step: steps[i] ?? 0n, timestampMs: times[i] ?? 0 });
  }
  return points;
}

function bytesOf(array: ArrayBufferView<ArrayBuffer>): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** The columns of a batch without copying them, wherever their bytes are aligned. */
export function viewsOf({ values, steps, times, keyIndexes }: PointColumns): PointViews {
  return {
    values: new Float64Array(...aligned(values, 8)),
    steps: new BigInt64Array(...aligned(steps, 8)),
    times: new Float64Array(...aligned(times, 8)),
    keyIndexes: new Uint16Array(...aligned(keyIndexes, 2)),
  };
}

/** Buffer, offset and length of bytes as entries of so many bytes; copied where they do not begin at a multiple of it. */
function aligned(bytes: Uint8Array, entryBytes: number): [ArrayBufferLike, number, number] {
  const from = bytes.byteOffset % entryBytes === 0 ? bytes : new Uint8Array(bytes);
  return [from.buffer, from.byteOffset, from.length / entryBytes];
}
