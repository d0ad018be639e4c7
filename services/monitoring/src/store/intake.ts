import { names } from '@millrace/contracts';
import type { ColumnData } from '../domain/column.ts';
import { advance, took } from '../domain/monitor.ts';
import { isClosed, isPlausible, windowStart } from '../domain/window.ts';
import { encodeColumn, pickRows, toBytes } from './column-codec.ts';
import { seriesKey, windowKey } from './keys.ts';
import { all, type Store } from './store.ts';

/** A batch of logged inferences. */
export interface LoggedBatch {
  /** The event's id: the same batch again changes nothing. */
  readonly id: string;
  readonly deployment: string;
  readonly modelVersion: string;
  /** When it was logged, in milliseconds since 1970. */
  readonly loggedMs: number;
  readonly inferenceIds: readonly string[];
  /** Milliseconds since 1970. */
  readonly timesMs: readonly number[];
  readonly inputs: readonly ColumnData[];
  readonly outputs: readonly ColumnData[];
}

/**
 * Puts the rows of a batch into the windows of every monitor that watches its deployment. Whether a row is too late is
 * decided by the rows that came before its batch, never by how far judging is: the same batches in the same order give
 * the same windows. Rows whose time cannot be true are left out.
 */
export async function takeRows(store: Store, batch: LoggedBatch, nowMs: number): Promise<void> {
  const times = new Map([...batch.timesMs.entries()].filter(([, time]) => isPlausible(time, batch.loggedMs)));
  if (times.size === 0) return;
  const version = names.modelVersion.parse(batch.modelVersion).version;
  const newest = times.values().reduce((a, b) => Math.max(a, b));
  for await (const { id, doc: monitor } of all(store.monitors, { where: { deployment: batch.deployment } })) {
    if (monitor.spec.paused) continue;
    const rule = monitor.spec.window;
    const series = seriesKey(monitor);
    for (const [startMs, rows] of byWindow(times, (time) => windowStart(time, rule))) {
      if (isClosed(startMs, monitor.watermarkMs, rule)) continue;
      const key = windowKey(series, startMs);
      const window = await store.windows.upsert(key, (doc) =>
        doc ? undefined : { doc: { monitor: series, startMs, state: 'open' } },
      );
      // A window that was closed by hand takes nothing more: the report stays what it was.
      if (window?.doc.state !== 'open') continue;
      const chunk = {
        monitor: series,
        startMs,
        rowCount: rows.length,
        version,
        inferenceIds: rows.map((row) => batch.inferenceIds[row] ?? ''),
        inputs: batch.inputs.map((column) => encodeColumn(pickRows(column, rows))),
        outputs: batch.outputs.map((column) => encodeColumn(pickRows(column, rows))),
      };
      await store.chunks.upsert(`${key}/${batch.id}`, (doc) => (doc ? undefined : { doc: chunk }));
    }
    await store.monitors.change(id, (doc) => {
      const moved = doc.again === monitor.again ? took(doc, newest, nowMs) : undefined;
      return moved && { doc: moved };
    });
  }
}

function byWindow(
  times: ReadonlyMap<number, number>,
  startOf: (timeMs: number) => number,
): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const [row, time] of times) {
    const start = startOf(time);
    const rows = groups.get(start);
    if (rows) rows.push(row);
    else groups.set(start, [row]);
  }
  return groups;
}

/** What really happened for some inferences. */
export interface LabelBatch {
  readonly id: string;
  readonly deployment: string;
  readonly knownMs: number;
  readonly inferenceIds: readonly string[];
  /** NaN where the label is no number and no truth value. */
  readonly values: Float64Array;
}

/** Keeps labels and moves the label clock of every monitor that watches the deployment. */
export async function takeLabels(store: Store, batch: LabelBatch): Promise<void> {
  const doc = {
    deployment: batch.deployment,
    knownMs: batch.knownMs,
    inferenceIds: batch.inferenceIds,
    values: toBytes(batch.values),
  };
  await store.labels.upsert(batch.id, (found) => (found ? undefined : { doc }));
  for await (const { id } of all(store.monitors, { where: { deployment: batch.deployment } })) {
    await store.monitors.change(id, (monitor) => {
      const moved = advance(monitor, 'labelsMs', batch.knownMs);
      return moved && { doc: moved };
    });
  }
}
