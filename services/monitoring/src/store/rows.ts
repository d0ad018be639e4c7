import type { ColumnData } from '../domain/column.ts';
import { firstOfEach } from '../domain/inference-ids.ts';
import type { Monitor } from '../domain/monitor.ts';
import type { Labelled } from '../domain/performance.ts';
import type { WindowRows } from '../domain/report.ts';
import type { ChunkDoc } from './collections.ts';
import { decodeColumn, joinColumns, pickRows, type StoredColumn, toNumbers } from './column-codec.ts';
import { monitorKey } from './keys.ts';
import { all, type Store } from './store.ts';

/** The rows of a window, its chunks joined in the order of their ids, so that every reading gives the same. */
export async function readWindow(store: Store, monitor: string, startMs: number): Promise<WindowRows> {
  const versions = new Map<string, number>();
  const inputs = new Map<string, ColumnData[]>();
  const outputs = new Map<string, ColumnData[]>();
  let rowCount = 0;
  for await (const { doc, rows } of chunksOf(store, monitor, startMs)) {
    rowCount += rows.length;
    versions.set(doc.version, (versions.get(doc.version) ?? 0) + rows.length);
    gather(inputs, doc.inputs, rows);
    gather(outputs, doc.outputs, rows);
  }
  const join = (columns: Map<string, ColumnData[]>) => [...columns.values()].map(joinColumns);
  return { startMs, rowCount, versions: [...versions].sort(), inputs: join(inputs), outputs: join(outputs) };
}

/** Joins what was answered in a window with what really happened, by inference id; the first label of an id holds. */
export async function readLabelled(
  store: Store,
  monitor: Monitor,
  startMs: number,
  untilMs: number,
  column: string,
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
  }
  const scores: number[] = [];
  const labels: number[] = [];
  for await (const { doc, rows } of chunksOf(store, monitorKey(monitor), startMs)) {
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
 * again under the same id, and both answers may be logged: the first one counts.
 */
async function* chunksOf(
  store: Store,
  monitor: string,
  startMs: number,
): AsyncGenerator<{ readonly doc: ChunkDoc; readonly rows: readonly number[] }> {
  const seen = new Set<string>();
  for await (const { doc } of all(store.chunks, { where: { monitor, startMs } }))
    yield { doc, rows: firstOfEach(doc.inferenceIds, seen) };
}

function gather(
  into: Map<string, ColumnData[]>,
  columns: readonly StoredColumn[],
  rows: readonly number[],
): void {
  for (const stored of columns) {
    const part = pickRows(decodeColumn(stored), rows);
    const parts = into.get(stored.name);
    if (parts) parts.push(part);
    else into.set(stored.name, [part]);
  }
}
