import type { ColumnData } from '../domain/column.ts';
import type { Monitor } from '../domain/monitor.ts';
import type { Labelled } from '../domain/performance.ts';
import type { WindowRows } from '../domain/report.ts';
import { decodeColumn, joinColumns, type StoredColumn, toNumbers } from './column-codec.ts';
import { monitorKey } from './keys.ts';
import { all, type Store } from './store.ts';

/** The rows of a window, its chunks joined in the order of their ids, so that every reading gives the same. */
export async function readWindow(store: Store, monitor: string, startMs: number): Promise<WindowRows> {
  const versions = new Map<string, number>();
  const inputs = new Map<string, ColumnData[]>();
  const outputs = new Map<string, ColumnData[]>();
  let rowCount = 0;
  for await (const { doc } of all(store.chunks, { where: { monitor, startMs } })) {
    rowCount += doc.rowCount;
    versions.set(doc.version, (versions.get(doc.version) ?? 0) + doc.rowCount);
    gather(inputs, doc.inputs);
    gather(outputs, doc.outputs);
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
  for await (const { doc } of all(store.chunks, { where: { monitor: monitorKey(monitor), startMs } })) {
    const stored = doc.outputs.find((output) => output.name === column);
    const score = stored && decodeColumn(stored);
    if (score?.kind !== 'number') continue;
    for (const [i, id] of doc.inferenceIds.entries()) {
      const label = truth.get(id);
      const value = score.values[i] ?? Number.NaN;
      if (label === undefined || Number.isNaN(label) || Number.isNaN(value)) continue;
      scores.push(value);
      labels.push(label);
    }
  }
  return { scores: Float64Array.from(scores), labels: Float64Array.from(labels) };
}

function gather(into: Map<string, ColumnData[]>, columns: readonly StoredColumn[]): void {
  for (const stored of columns) {
    const parts = into.get(stored.name);
    if (parts) parts.push(decodeColumn(stored));
    else into.set(stored.name, [decodeColumn(stored)]);
  }
}
