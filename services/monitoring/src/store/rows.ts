import type { ColumnData } from '../domain/column.ts';
import { firstOfEach } from '../domain/inference-ids.ts';
import type { Monitor } from '../domain/monitor.ts';
import type { Labelled } from '../domain/performance.ts';
import type { WindowRows } from '../domain/report.ts';
import type { ChunkDoc } from './collections.ts';
import {
  bytesOf,
  decodeColumn,
  joinColumns,
  pickRows,
  type StoredColumn,
  toNumbers,
} from './column-codec.ts';
import { seriesKey } from './keys.ts';
import { all, type Store } from './store.ts';

/** What the rows of a window may take in memory while it is judged, and how many are told apart by their ids. */
interface WindowLimits {
  readonly bytes: number;
  readonly rows: number;
}

const limits: WindowLimits = { bytes: 256 * 1024 * 1024, rows: 2_000_000 };

/**
 * The rows of a window, its chunks joined in the order of their ids, so that every reading gives the same. Of more rows
 * than `most` allows the first ones are read, and the others counted, those of repeated answers among them.
 */
export async function readWindow(
  store: Store,
  series: string,
  startMs: number,
  most = limits,
): Promise<WindowRows> {
  const versions = new Map<string, number>();
  const inputs = new Map<string, ColumnData[]>();
  const outputs = new Map<string, ColumnData[]>();
  let rowCount = 0;
  let readRows = 0;
  let bytes = 0;
  for await (const { doc, rows } of chunksOf(store, series, startMs, most.rows)) {
    const isRead = rows !== undefined && bytes < most.bytes;
    const count = rows?.length ?? doc.rowCount;
    rowCount += count;
    versions.set(doc.version, (versions.get(doc.version) ?? 0) + count);
    if (!isRead) continue;
    readRows += count;
    bytes += gather(inputs, doc.inputs, rows) + gather(outputs, doc.outputs, rows);
  }
  const join = (columns: Map<string, ColumnData[]>) =>
    [...columns.keys()].map((name) => {
      const joined = joinColumns(columns.get(name) ?? []);
      // The parts go at once: with the parts of all columns the rows would be there twice.
      columns.delete(name);
      return joined;
    });
  return {
    startMs,
    rowCount,
    readRows,
    versions: [...versions].sort(),
    inputs: join(inputs),
    outputs: join(outputs),
  };
}

/** Joins what was answered in a window with what really happened, by inference id; the first label of an id holds. */
export async function readLabelled(
  store: Store,
  monitor: Monitor,
  startMs: number,
  untilMs: number,
  column: string,
  most = limits.rows,
): Promise<Labelled> {
  const truth = new Map<string, number>();
  const { deployment } = monitor.spec;
  for await (const { doc } of all(store.labels, {
    where: { deployment, knownMs: { gte: startMs, lte: untilMs } },
    orderBy: [{ field: 'knownMs' }],
  })) {
    const values = toNumbers(doc.values);
    for (const [i, id] of doc.inferenceIds.entries())
      if (!truth.has(id)) truth.set(id, values[i] ?? Number.NaN);
    if (truth.size >= most) break;
  }
  const scores: number[] = [];
  const labels: number[] = [];
  for await (const { doc, rows } of chunksOf(store, seriesKey(monitor), startMs, most)) {
    if (!rows) break;
    const stored = doc.outputs.find((output) => output.name === column);
    const score = stored && decodeColumn(stored);
    if (score?.kind !== 'number') continue;
    for (const row of rows) {
      const label = truth.get(doc.inferenceIds[row] ?? '');
      const value = score.values[row] ?? Number.NaN;
      if (label === undefined || Number.isNaN(label) || Number.isNaN(value)) continue;
      scores.push(value);
      labels.push(label);
    }
  }
  return { scores: Float64Array.from(scores), labels: Float64Array.from(labels) };
}

/**
 * The chunks of a window in the order of their events, each with the rows that count. A caller that lost an answer asks
 * again under the same id, and both answers may be logged: the first one counts. After so many rows ids are no longer
 * compared, and `rows` is undefined.
 */
async function* chunksOf(
  store: Store,
  series: string,
  startMs: number,
  mostRows: number,
): AsyncGenerator<{ readonly doc: ChunkDoc; readonly rows: readonly number[] | undefined }> {
  const seen = new Set<string>();
  // Few at a time: each may have megabytes.
  for await (const { doc } of all(store.chunks, { where: { monitor: series, startMs }, limit: 5 })) {
    yield { doc, rows: seen.size < mostRows ? firstOfEach(doc.inferenceIds, seen) : undefined };
    // Reading from a file never waits by itself, and hundreds of chunks would hold up all other calls for seconds.
    await new Promise(setImmediate);
  }
}

/** Adds rows of columns; answers about how many bytes they take. */
function gather(
  into: Map<string, ColumnData[]>,
  columns: readonly StoredColumn[],
  rows: readonly number[],
): number {
  let bytes = 0;
  for (const stored of columns) {
    const part = pickRows(decodeColumn(stored), rows);
    bytes += bytesOf(part);
    const parts = into.get(stored.name);
    if (parts) parts.push(part);
    else into.set(stored.name, [part]);
  }
  return bytes;
}
