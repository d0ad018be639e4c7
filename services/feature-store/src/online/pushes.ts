import { channel } from 'node:diagnostics_channel';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { BlobStore, Digest } from '@millrace/blobs';
import { ColumnBatchSchema } from '@millrace/contracts/common';
import { featuresEvents } from '@millrace/contracts/features-events';
import { CodedError, isCoded } from '@millrace/errors';
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
/** Records that are read at once, which may be of that size each. */
const pageSize = 8;
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

/** How long nobody may have looked at a push's record before the push counts as cut short by a crash or a full disk. */
const abandonedMs = 10_000;
/** How long after a look at the record keys may still be written: less, so that whoever stood still does not go on. */
const heldMs = 8_000;
/** How long after a look at the record it is looked at again before more keys are written. */
const renewMs = 3_000;

interface Applying {
  /** The id of the push's record. */
  readonly id: string;
  /** When the record was looked at, by the service's clock: which also goes on while a machine stands still. */
  readonly lookedMs: number;
  /** Whether the rows are in, whoever brought them. */
  isIn(doc: PushedChunk): boolean;
  /** The id of the oldest push that may be applied again, as it is now. */
  floor(): Promise<string>;
  /** Whether a key that can take no more rows is passed over; who pushed them was told. */
  readonly leaveFull: boolean;
}

/** Race points: the rows are recorded, and in no online value yet; they are in some of them. */
const recorded = channel('millrace:features.push-recorded');
const partlyOnline = channel('millrace:features.push-partly-online');

/**
 * Pushed rows: durable first, then online. What was cut short between the two is finished later, in order of ids. Each key
 * remembers the pushes that may be applied to it again; see `withPush`.
 */
export function createPushes(store: Store, blobs: BlobStore, writer: OnlineWriter, now: () => number) {
  const chunkId = (uid: string, id: string) => `${uid}:${id}`;
  /** What works on a push in this process. */
  const underWay = new Map<string, Promise<unknown>>();

  /** Works on a push when nobody else here does: of two, one could add rows to a key that has forgotten them from the other. */
  async function alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    while (underWay.has(id)) await underWay.get(id)?.catch(() => {});
    const working = work();
    underWay.set(id, working);
    return working.finally(() => underWay.delete(id));
  }

  async function apply(view: FeatureView, groups: readonly GroupedRows[], how: Applying): Promise<void> {
    const plan = viewPlan(view);
    let { lookedMs } = how;
    const checkHeld = () => {
      if (now() - lookedMs >= heldMs) throw stoodStill();
    };
    const add = async (rows: GroupedRows, floor: string) => {
      try {
        await writer.push(view, plan, rows, { id: pushIdOf(how.id), floor, checkHeld });
      } catch (error) {
        if (!how.leaveFull || !isCoded(error, 'TOO_LARGE')) throw error;
      }
    };
    for (let i = 0; i < groups.length; i += writeWidth) {
      const startMs = now();
      if (startMs - lookedMs >= renewMs) {
        if (await isInMeanwhile(how)) return;
        lookedMs = startMs;
      }
      // Read anew for each block: pushes with earlier ids may have been recorded while the one before was written.
      const floor = await how.floor();
      await Promise.all(groups.slice(i, i + writeWidth).map((rows) => add(rows, floor)));
      partlyOnline.publish(how.id);
    }
  }

  /** Looks at a push's record again, and leaves a trace there that somebody works on it while its rows are not in. */
  async function isInMeanwhile({ id, isIn }: Applying): Promise<boolean> {
    const { doc } = await store.pushes.change(id, (found) => (isIn(found) ? undefined : { doc: found }));
    return isIn(doc);
  }

  /**
   * The id of the oldest push whose rows some keys may lack: this one, or an older one that is under way or was cut short.
   * To be asked only when this one is recorded, so that of two pushes at the same time one sees the other.
   */
  async function oldestUnfinished(uid: string, id: string): Promise<string> {
    const where = { uid, heldBy: 0 };
    const { items } = await store.pushes.find({ where, orderBy: [{ field: 'id' }], limit: 1 });
    const oldest = items[0] && pushIdOf(items[0].id);
    return oldest !== undefined && oldest < id ? oldest : id;
  }

  async function floorOf({ uid, version }: FeatureView, id: string): Promise<string> {
    // While rows of an earlier version are carried over, all of them may come again.
    const carried = await store.pushes.count({ uid, heldBy: { gte: 1, lt: version } });
    return carried > 0 ? '' : oldestUnfinished(uid, id);
  }

  /** Brings the rows of a recorded push into the online values of a view. A key that is full stays as it is. */
  async function bring(view: FeatureView, doc: PushedChunk, how: Omit<Applying, 'leaveFull'>): Promise<void> {
    const table = fitTable(view, await rowsOf(doc));
    await apply(view, groupRows(view, viewPlan(view), table), { ...how, leaveFull: true });
  }

  /** Nobody applies the push again, unless a version of the view comes that lacks it. */
  const markApplied = (id: string, version: number) =>
    store.pushes.change(id, (doc) =>
      doc.applied && doc.version >= version
        ? undefined
        : { doc: { ...doc, applied: true, version: Math.max(doc.version, version) } },
    );

  /** A version has the push. Its own caller may be on the way to apply it again, so it is not marked as applied. */
  const markCarried = (id: string, version: number) =>
    store.pushes.change(id, (doc) => (doc.version >= version ? undefined : { doc: { ...doc, version } }));

  async function rowsOf(chunk: PushedChunk): Promise<Table> {
    const bytes = chunk.rows ?? (await blobs.bytes(chunk.digest as Digest));
    return readBatch(fromBinary(ColumnBatchSchema, bytes), 'rows', chunk.rowCount);
  }

  /** Finishes a push that was cut short; false when there is nothing to finish any more. */
  async function finish(id: string): Promise<boolean> {
    const lookedMs = now();
    const doc = (await store.pushes.get(id))?.doc;
    if (!doc || doc.applied) return false;
    const view = await store.views.get(doc.view);
    if (view?.doc.uid !== doc.uid) {
      await store.pushes.remove(id);
      return false;
    }
    const floor = () => floorOf(view.doc, pushIdOf(id));
    await bring(view.doc, doc, { id, lookedMs, isIn: isApplied, floor });
    await markApplied(id, view.doc.version);
    return true;
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
      const place = chunkId(uid, id);
      await alone(place, async () => {
        const lookedMs = now();
        const record = await store.pushes.insert(place, chunk, options);
        // An earlier try was finished by the service, and keys may have forgotten it since.
        if (record.doc.applied) return;
        recorded.publish(place);
        const how = { id: place, lookedMs, isIn: isApplied };
        await apply(view, groups, { ...how, floor: () => floorOf(view, id), leaveFull: false });
        // A version that came meanwhile may have been filled before these rows were recorded.
        const newest = (await store.views.get(name))?.doc;
        const later = newest?.uid === uid && newest.version > version ? newest : undefined;
        if (later) await bring(later, chunk, { ...how, floor: () => floorOf(later, id) });
        await markApplied(place, (later ?? view).version);
      });
      return { keyCount: groups.length };
    },

    /**
     * Finishes pushes that were cut short between their record and the online store: by a crash, or because the store
     * refused. At a start all of them, later those that must have been given up. One that cannot be finished does not
     * keep the others from it.
     */
    async recover(options: { readonly atStart: boolean }) {
      const failures: unknown[] = [];
      let finished = 0;
      for await (const { id, updatedAtMs } of all(store.pushes, {
        where: { applied: false },
        limit: pageSize,
      })) {
        if (underWay.has(id) || (!options.atStart && now() - updatedAtMs < abandonedMs)) continue;
        try {
          if (await alone(id, () => finish(id))) finished += 1;
        } catch (error) {
          failures.push(error);
        }
      }
      return { finished, failures };
    },

    /** Brings what was pushed to earlier versions of a view into this one. */
    async carryOver(view: FeatureView): Promise<void> {
      const isIn = (doc: PushedChunk) => doc.version >= view.version;
      for await (const { id, doc: page } of all(store.pushes, {
        where: { uid: view.uid },
        limit: pageSize,
      })) {
        if (isIn(page)) continue;
        // Read again: a page may be old, and another job carry over the same rows.
        const lookedMs = now();
        const doc = (await store.pushes.get(id))?.doc;
        if (!doc || isIn(doc)) continue;
        const floor = () => oldestUnfinished(view.uid, pushIdOf(id));
        await bring(view, doc, { id, lookedMs, isIn, floor });
        await markCarried(id, view.version);
      }
    },

    /** All rows pushed to a view with the view's columns, batch by batch, that could count up to a time. */
    async *tables(view: FeatureView, untilUs: number): AsyncGenerator<Table> {
      for await (const { doc } of all(store.pushes, { where: { uid: view.uid }, limit: pageSize })) {
        if (doc.firstUs <= untilUs) yield fitTable(view, await rowsOf(doc));
      }
    },
  };
}

export type Pushes = ReturnType<typeof createPushes>;

const isApplied = (doc: PushedChunk) => doc.applied;

function stoodStill(): CodedError {
  const message = `a push stood still for ${heldMs / 1000} s and may have been taken over; retry with the same request_id`;
  return new CodedError('unavailable', 'UNAVAILABLE', message);
}

/** The part of a record's id that tells one push of a view from another. */
const pushIdOf = (chunk: string) => chunk.slice(chunk.lastIndexOf(':') + 1);

function extent(table: Table, column: string): readonly [number, number] {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const cell of columnOf(table, column)?.cells ?? []) {
    const us = Number(cell);
    first = Math.min(first, us);
    last = Math.max(last, us);
  }
  return table.rowCount === 0 ? [0, 0] : [first, last];
}
