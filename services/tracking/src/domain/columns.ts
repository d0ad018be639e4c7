import type { Point } from './metric.ts';

/** The points of one batch in columns: one entry per point in each, in the order in which they were given. */
export interface PointColumns {
  readonly count: number;
  /** The different keys of the batch. */
  readonly keys: readonly string[];
  /** Index into `keys`: the bytes of a Uint16Array. */
  readonly keyIndexes: Uint8Array;
  /** The bytes of a Float64Array. */
  readonly values: Uint8Array;
  /** The bytes of a BigInt64Array. */
  readonly steps: Uint8Array;
  /** Milliseconds since 1970: the bytes of a Float64Array, exact for every date. */
  readonly times: Uint8Array;
}

/** Puts points into columns. Typed arrays are little-endian on every machine that Node 24 runs on. */
export function toColumns(points: readonly Point[]): PointColumns {
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
    times[i] = timestampMs;
  }
  if (places.size > 0xffff) throw new RangeError(`${places.size} keys do not fit a batch`);
  return {
    count,
    keys: [...places.keys()],
    keyIndexes: bytesOf(keyIndexes),
    values: bytesOf(values),
    steps: bytesOf(steps),
    times: bytesOf(times),
  };
}

/** The points of the columns, all or those of some keys, in the order in which they were given. */
export function fromColumns(columns: PointColumns, only?: ReadonlySet<string>): Point[] {
  const wanted = columns.keys.map((key) => !only || only.has(key));
  if (!wanted.includes(true)) return [];
  const keyIndexes = new Uint16Array(aligned(columns.keyIndexes));
  const values = new Float64Array(aligned(columns.values));
  const steps = new BigInt64Array(aligned(columns.steps));
  const times = new Float64Array(aligned(columns.times));
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

/** Stored bytes may begin anywhere in their buffer; typed arrays need their own boundary. */
export function aligned(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
