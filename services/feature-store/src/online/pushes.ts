import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { BlobStore, Digest } from '@millrace/blobs';
import { ColumnBatchSchema } from '@millrace/contracts/common';
import { featuresEvents } from '@millrace/contracts/features-events';
import { draft } from '@millrace/events';
import { readBatch, writeBatch } from '../batch.ts';
import { type FeatureView, viewPlan } from '../domain/definition.ts';
import { fitTable, type GroupedRows, groupRows } from '../domain/pushed.ts';
import { columnOf, type Table } from '../domain/table.ts';
import { timestampOf } from '../messages.ts';
import type { PushedChunk } from '../store/collections.ts';
import { all, type Store } from '../store/store.ts';
import type { OnlineWriter } from './write.ts';

/** Larger batches than this are kept as blobs. */
const maxInlineBytes = 2 * 1024 * 1024;
/** How many keys are written at once, so that they share the store's commits. */
const writeWidth = 512;

export interface PushInput {
  readonly view: FeatureView;
  /** The resource name of the view. */
  readonly name: string;
  /** Rows with the view's columns. */
  readonly table: Table;
  /** The same for every try of one push. */
  readonly id: string;
  readonly requestId?: string;
}

/** Pushed rows: durable first, then online; what a crash left between is finished at the next start. */
export function createPushes(store: Store, blobs: BlobStore, writer: OnlineWriter, now: () => number) {
  const chunkId = (uid: string, id: string) => `${uid}:${id}`;

  async function apply(view: FeatureView, groups: readonly GroupedRows[], pushId: string): Promise<void> {
    const plan = viewPlan(view);
    for (let i = 0; i < groups.length; i += writeWidth) {
      const part = groups.slice(i, i + writeWidth);
      await Promise.all(part.map((rows) => writer.push(view, plan, rows, pushId)));
    }
  }

  const markApplied = (id: string, version: number) =>
    store.pushes.change(id, (doc) =>
      doc.applied && doc.version >= version ? undefined : { doc: { ...doc, applied: true, version } },
    );

  async function rowsOf(chunk: PushedChunk): Promise<Table> {
    const bytes = chunk.rows ?? (await blobs.bytes(chunk.digest as Digest));
    return readBatch(fromBinary(ColumnBatchSchema, bytes), 'rows', chunk.rowCount);
  }

  return {
    async push({ view, name, table, id, requestId }: PushInput): Promise<{ readonly keyCount: number }> {
      const bytes = toBinary(ColumnBatchSchema, create(ColumnBatchSchema, writeBatch(table)));
      const inline = bytes.length <= maxInlineBytes;
      const digest = inline ? '' : (await blobs.put(bytes)).digest;
      const groups = groupRows(view, viewPlan(view), table);
      const [firstUs, lastUs] = extent(table, view.timestampColumn);
      const { uid, project, version } = view;
      const chunk: PushedChunk = {
        ...{
          uid,
          project,
          view: name,
          version,
          applied: false,
          rowCount: table.rowCount,
          firstUs,
          lastUs,
          digest,
        },
        rows: inline ? bytes : null,
      };
      const data = {
        ...{
          view: name,
          viewVersion: version,
          rowCount: BigInt(table.rowCount),
          keyCount: BigInt(groups.length),
        },
        ...{ firstTime: timestampOf(firstUs), lastTime: timestampOf(lastUs) },
      };
      const event = draft(featuresEvents.rowsPushed, { project, resource: name, timeMs: now(), data });
      const options = { emit: [event], ...(requestId ? { requestId } : {}) };
      await store.pushes.insert(chunkId(uid, id), chunk, options);
      await apply(view, groups, chunkId(uid, id));
      await markApplied(chunkId(uid, id), version);
      return { keyCount: groups.length };
    },

    /** Finishes pushes that a crash left between their record and the online store. */
    async recover(): Promise<number> {
      let finished = 0;
      for await (const { id, doc } of all(store.pushes, { where: { applied: false } })) {
        const view = await store.views.get(doc.view);
        if (view && view.doc.uid === doc.uid) {
          const table = fitTable(view.doc, await rowsOf(doc));
          await apply(view.doc, groupRows(view.doc, viewPlan(view.doc), table), id);
          await markApplied(id, view.doc.version);
          finished += 1;
        } else {
          await store.pushes.remove(id);
        }
      }
      return finished;
    },

    /** Brings what was pushed to earlier versions of a view into this one. */
    async carryOver(view: FeatureView): Promise<void> {
      for await (const { id, doc } of all(store.pushes, { where: { uid: view.uid } })) {
        if (doc.version >= view.version) continue;
        const table = fitTable(view, await rowsOf(doc));
        await apply(view, groupRows(view, viewPlan(view), table), id);
        await markApplied(id, view.version);
      }
    },

    /** All rows pushed to a view with the view's columns, batch by batch, that could count up to a time. */
    async *tables(view: FeatureView, untilUs: number): AsyncGenerator<Table> {
      for await (const { doc } of all(store.pushes, { where: { uid: view.uid } })) {
        if (doc.firstUs <= untilUs) yield fitTable(view, await rowsOf(doc));
      }
    },
  };
}

export type Pushes = ReturnType<typeof createPushes>;

function extent(table: Table, column: string): readonly [number, number] {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const cell of columnOf(table, column)?.cells ?? []) {
    const us = Number(cell);
    first = Math.min(first, us);
    last = Math.max(last, us);
  }
  return table.rowCount === 0 ? [0, 0] : [first, last];
}
