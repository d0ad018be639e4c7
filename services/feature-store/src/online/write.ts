import { createHash } from 'node:crypto';
import type { FeatureView } from '../domain/definition.ts';
import { addEntries, type Entry, type History } from '../domain/history.ts';
import { addRows, ageLayer, type Layer, newestOf } from '../domain/layer.ts';
import { reachUs, type ViewPlan } from '../domain/plan.ts';
import { dayUs, floorTo } from '../domain/time.ts';
import {
  emptyDoc,
  emptySide,
  holdsPush,
  type KeySide,
  type OnlineDoc,
  oldestOf,
  readSide,
  type StoredSide,
  storeSide,
  withPush,
} from '../store/online-doc.ts';
import type { Store } from '../store/store.ts';
import type { KeyCache } from './key-cache.ts';

/** New rows of one key, in any order. */
export interface KeyRows {
  readonly key: string;
  /** As in `Layer.raw`. */
  readonly raw: Float64Array;
  /** The same rows for plain features; empty when the view has none. */
  readonly entries: readonly Entry[];
}

/** What a materialization knows of the rows it did not read. */
export interface BatchRun {
  readonly run: string;
  readonly endUs: number;
  /** Replaces what was materialized before instead of adding to it. */
  readonly replace: boolean;
  /** Replaces also what is newer than the run's end. */
  readonly full: boolean;
  /** Rows up to here were not read. */
  readonly unreadUs: number;
  /** How far back the longest window reaches. */
  readonly tailUs: number;
}

export const generationOf = (view: Pick<FeatureView, 'uid' | 'version'>): string =>
  `${view.uid}:${view.version}`;

/** The id of a key's document; long keys are hashed. */
export function onlineId(generation: string, key: string): string {
  const short = key.length <= 200 ? key : `#${createHash('sha256').update(key).digest('hex')}`;
  return `${generation}:${short}`;
}

/** Writes rows of keys into the online store and through the cache. */
export function createOnlineWriter(store: Store, cache: KeyCache, horizonUs: number, now: () => number) {
  async function write(
    view: FeatureView,
    key: string,
    change: (doc: OnlineDoc) => OnlineDoc | undefined,
  ): Promise<void> {
    const generation = generationOf(view);
    const [before, written] = await Promise.all([
      cache.moment(),
      store.online.upsert(onlineId(generation, key), (doc) => {
        const next = change(doc ?? emptyDoc(generation, key));
        return next && { doc: next };
      }),
    ]);
    if (written) cache.put(written, before);
  }

  const extend = ({ layer, history }: KeySide, plan: ViewPlan, rows: KeyRows): KeySide => ({
    layer: plan.windows.length > 0 ? addRows(layer, rows.raw, plan, horizonUs) : layer,
    history: addEntries(history, rows.entries, horizonUs),
  });

  /**
   * The horizon counts back from a key's newest row, also for the side that did not get it; but a row with a time that
   * has not come yet must not cost the other side all it has. Days go as a whole, so there is something to do once a day.
   */
  function age(side: StoredSide | null, rowUs: number, plan: ViewPlan): StoredSide | null {
    const newestUs = Math.min(rowUs, now() * 1000);
    if (!side || oldestOf(side) > floorTo(newestUs - reachUs(plan, horizonUs), dayUs)) return side;
    const { layer, history } = readSide(side);
    return storeSide({ layer: ageLayer(layer, plan, newestUs, horizonUs), history });
  }

  return {
    /**
     * Adds pushed rows; a push that the key holds already changes nothing. Pushes from `floor` on may come again. What
     * `checkHeld` throws, at the moment of writing, keeps the rows out.
     */
    async push(
      view: FeatureView,
      plan: ViewPlan,
      rows: KeyRows,
      mark: { readonly id: string; readonly floor: string; checkHeld(): void },
    ): Promise<void> {
      await write(view, rows.key, (doc) => {
        if (holdsPush(doc, mark.id)) return undefined;
        mark.checkHeld();
        const pushed = extend(readSide(doc.pushed), plan, rows);
        const batch = age(doc.batch, newestOf(pushed.layer.raw, plan), plan);
        return { ...doc, batch, pushed: storeSide(pushed), pushes: withPush(doc, mark.id, mark.floor) };
      });
    },

    /** Adds rows of the source up to the run's end; those that are in already, by their time, are left out. */
    async materialize(view: FeatureView, plan: ViewPlan, rows: KeyRows, run: BatchRun): Promise<void> {
      await write(view, rows.key, (doc) => {
        if (doc.batchRun === run.run) return undefined;
        if (!run.full && doc.batchEndUs >= run.endUs) return undefined;
        const fresh = run.replace || doc.batch === null;
        const before = fresh ? unread(rows, run) : readSide(doc.batch);
        const news = fresh ? rows : after(rows, doc.batchEndUs, 1 + plan.measures.length);
        const batch = extend(before, plan, news);
        const pushed = age(doc.pushed, newestOf(batch.layer.raw, plan), plan);
        return { ...doc, batch: storeSide(batch), pushed, batchEndUs: run.endUs, batchRun: run.run };
      });
    },

    /** Clears the source's rows of a key that a replacing run did not find. */
    async clear(view: FeatureView, key: string, run: BatchRun): Promise<void> {
      await write(view, key, (doc) =>
        doc.batch === null || doc.batchRun === run.run
          ? undefined
          : { ...doc, batch: null, batchEndUs: run.endUs, batchRun: run.run },
      );
    },
  };
}

export type OnlineWriter = ReturnType<typeof createOnlineWriter>;

/** A side that knows nothing of the rows that were not read: those before the newest that is as old, if there is one. */
function unread({ entries }: KeyRows, { unreadUs, tailUs }: BatchRun): KeySide {
  if (unreadUs === Number.NEGATIVE_INFINITY) return emptySide;
  const layer: Layer = { ...emptySide.layer, exactFromUs: unreadUs + tailUs };
  const history: History = { ...emptySide.history, dropped: entries.some((e) => e.timeUs <= unreadUs) };
  return { layer, history };
}

function after(rows: KeyRows, endUs: number, width: number): KeyRows {
  const kept: number[] = [];
  for (let i = 0; i < rows.raw.length; i += width) {
    if (rows.raw[i]! > endUs) kept.push(...rows.raw.subarray(i, i + width));
  }
  return {
    key: rows.key,
    raw: Float64Array.from(kept),
    entries: rows.entries.filter((e) => e.timeUs > endUs),
  };
}
