import { names } from '@millrace/contracts';
import type { ColumnData } from '../domain/column.ts';
import { advance } from '../domain/monitor.ts';
import { windowStart } from '../domain/window.ts';
import { encodeColumn, pickRows, toBytes } from './column-codec.ts';
import { monitorKey, windowKey } from './keys.ts';
import { all, type Store } from './store.ts';

/** A batch of logged inferences. */
export interface LoggedBatch {
  /** The event's id: the same batch again changes nothing. */
  readonly id: string;
  readonly deployment: string;
  readonly modelVersion: string;
  readonly inferenceIds: readonly string[];
  /** Milliseconds since 1970. */
  readonly timesMs: readonly number[];
  readonly inputs: readonly ColumnData[];
  readonly outputs: readonly ColumnData[];
}

/** Puts the rows of a batch into the windows of every monitor that watches its deployment. */
export async function takeRows(store: Store, batch: LoggedBatch): Promise<void> {
  if (batch.timesMs.length === 0) return;
  const version = names.modelVersion.parse(batch.modelVersion).version;
  const newest = batch.timesMs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  for await (const { id, doc: monitor } of all(store.monitors, { where: { deployment: batch.deployment } })) {
    if (monitor.spec.paused) continue;
    for (const [startMs, rows] of byWindow(batch.timesMs, (time) => windowStart(time, monitor.spec.window))) {
      const key = windowKey(monitorKey(monitor), startMs);
      const window = await store.windows.upsert(key, (doc) =>
        doc ? undefined : { doc: { monitor: id, startMs, state: 'open' } },
      );
      // A row that comes after its window was judged is left out: the report stays what it was.
      if (window?.doc.state !== 'open') continue;
      const chunk = {
        monitor: id,
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
      const moved = advance(doc, 'watermarkMs', newest);
      return moved && { doc: moved };
    });
  }
}

function byWindow(timesMs: readonly number[], startOf: (timeMs: number) => number): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const [row, time] of timesMs.entries()) {
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
