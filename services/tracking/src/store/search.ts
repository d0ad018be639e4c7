import { setImmediate } from 'node:timers/promises';
import type { DocumentStore, Versioned } from '@millrace/documents';
import { CodedError } from '@millrace/errors';
import type { Predicate, Row } from '../domain/filter/evaluate.ts';
import { comparePlaces, type Place, placeOf } from '../domain/filter/order.ts';
import type { SortKey } from '../domain/filter/syntax.ts';
import type { Run } from '../domain/run.ts';
import { runsSpec } from './collections.ts';
import type { View } from './experiments.ts';
import { attributeOf, type IndexedRun } from './indexed-run.ts';
import type { RunIndex } from './run-index.ts';
import { unpack } from './stored-run.ts';

export interface RunSearch {
  readonly project: string;
  /** Experiment numbers; empty means all. */
  readonly experiments: readonly number[];
  readonly view: View;
  readonly matches: Predicate;
  /** Empty: the newest first. */
  readonly order: readonly SortKey[];
  readonly limit: number;
  readonly after?: Place | undefined;
  /** Ends the search when the caller has left. */
  readonly signal?: AbortSignal;
}

export interface RunsFound {
  readonly runs: readonly Versioned<Run>[];
  /** The place after which there may be more. */
  readonly next?: Place;
}

const runsAtOnce = 200;
/** How many runs one call by age looks at before it answers with what it found. */
const runsPerPage = 20_000;
/** How many runs can be sorted; more are refused, as every one has to be looked at for every page. */
const sortableRuns = 200_000;

/** How many indexed runs are looked at in one turn of the event loop: some milliseconds. */
const indexedAtOnce = 10_000;

/**
 * Finds runs. The order by age reads the runs of the project or experiment from the newest on and stops when its page is
 * full. Other orders look at all of them and keep only the best of what they see: in the index where there is one, and
 * in the store where not.
 */
export async function searchRuns(
  store: DocumentStore,
  index: RunIndex,
  search: RunSearch,
): Promise<RunsFound> {
  if (search.order.length === 0) return byAge(store, search);
  const indexed = await index.runsOf(search.project);
  return indexed ? sortedIndexed(store, indexed, search) : sorted(store, search);
}

async function byAge(store: DocumentStore, search: RunSearch): Promise<RunsFound> {
  const runs: Versioned<Run>[] = [];
  let seen = 0;
  let last = '';
  for await (const found of scan(store, search, search.after?.id)) {
    if (runs.length === search.limit || seen === runsPerPage) return { runs, next: { values: [], id: last } };
    seen += 1;
    last = found.doc.id;
    if (search.matches(rowOf(found))) runs.push(found);
  }
  return { runs };
}

async function sorted(store: DocumentStore, search: RunSearch): Promise<RunsFound> {
  const best = createBest<Versioned<Run>>(search);
  for await (const found of scan(store, search)) best.see(rowOf(found), found.doc.id, found);
  return { runs: best.kept().map(({ item }) => item), ...best.next() };
}

async function sortedIndexed(
  store: DocumentStore,
  indexed: ReadonlyMap<string, IndexedRun>,
  search: RunSearch,
): Promise<RunsFound> {
  const best = createBest<IndexedRun>(search);
  const only = search.experiments.length > 0 ? new Set(search.experiments) : undefined;
  const fits = (run: { readonly experiment: number }, isDeleted: boolean) =>
    (search.view === 'ALL' || isDeleted === (search.view === 'DELETED')) &&
    (!only || only.has(run.experiment));
  let looked = 0;
  for (const run of indexed.values()) {
    if (++looked % indexedAtOnce === 0) {
      await setImmediate();
      search.signal?.throwIfAborted();
    }
    if (fits(run, run.isDeleted)) best.see(run, run.id, run);
  }
  const kept = best.kept().map(({ item }) => item);
  const found = await store.collection(runsSpec).getMany(kept.map(({ id }) => `${search.project}/${id}`));
  const runs: Versioned<Run>[] = [];
  for (const [i, one] of found.entries()) {
    const run = one && unpack(one);
    if (!run) continue;
    // What changed since the index was looked at may not be what was searched for any more.
    const isSame = run.version === kept[i]?.version;
    if (isSame || (fits(run.doc, run.doc.deletedAtMs !== null) && search.matches(rowOf(run)))) runs.push(run);
  }
  return { runs, ...best.next() };
}

/** Keeps the best of what it sees, as many as a page has. */
function createBest<T>({ order, limit, after, matches }: RunSearch) {
  const best: { readonly place: Place; readonly item: T }[] = [];
  let more = false;
  let seen = 0;
  return {
    see(row: Row, id: string, item: T): void {
      seen += 1;
      if (seen > sortableRuns) throw tooMany();
      if (!matches(row)) return;
      const place = placeOf(row, id, order);
      if (after && comparePlaces(place, after, order) <= 0) return;
      const worst = best.at(-1);
      if (best.length === limit && worst && comparePlaces(place, worst.place, order) > 0) {
        more = true;
        return;
      }
      best.splice(insertionPoint(best, place, order), 0, { place, item });
      if (best.length > limit) {
        best.pop();
        more = true;
      }
    },
    kept: () => best,
    /** The place after which there is more, if there is. */
    next: (): { readonly next?: Place } => {
      const last = best.at(-1);
      return more && last ? { next: last.place } : {};
    },
  };
}

/** The runs that may fit, the newest first, starting with those older than `before`. */
async function* scan(
  store: DocumentStore,
  search: RunSearch,
  before?: string,
): AsyncGenerator<Versioned<Run>> {
  const runs = store.collection(runsSpec);
  const { project, experiments, view } = search;
  const only = experiments.length > 1 ? new Set(experiments) : undefined;
  const scope = experiments.length === 1 ? { experiment: `${project}/${experiments[0]}` } : { project };
  const where = {
    ...scope,
    ...(view === 'ALL' ? {} : { state: view }),
    ...(before ? { run: { lt: before } } : {}),
  };
  let after: string | undefined;
  do {
    // A turn of the loop: the embedded store answers at once, and other calls, and the caller's leaving, must get theirs.
    await setImmediate();
    search.signal?.throwIfAborted();
    const page = await runs.find({
      where,
      orderBy: [{ field: 'run', direction: 'desc' }],
      limit: runsAtOnce,
      ...(after ? { after } : {}),
    });
    for (const found of page.items) if (!only || only.has(found.doc.experiment)) yield unpack(found);
    after = page.next;
  } while (after);
}

/** A run as filters see it. Its lists are sorted by key, so looking up is a binary search. */
export function rowOf({ doc, createdAtMs, updatedAtMs }: Versioned<Run>): Row {
  return {
    metric: (key) => lookUp(doc.metrics, key)?.value,
    param: (key) => lookUp(doc.params, key)?.value,
    tag: (key) => lookUp(doc.tags, key)?.value,
    attribute: (name) => attributeOf({ ...doc, createdAtMs, updatedAtMs }, name),
  };
}

function lookUp<T extends { readonly key: string }>(list: readonly T[], key: string): T | undefined {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle] as T).key < key) low = middle + 1;
    else high = middle;
  }
  return list[low]?.key === key ? list[low] : undefined;
}

function insertionPoint(best: readonly { readonly place: Place }[], place: Place, order: readonly SortKey[]) {
  let [low, high] = [0, best.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePlaces((best[middle] as { place: Place }).place, place, order) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function tooMany(): CodedError {
  const message = `more than ${sortableRuns} runs would have to be sorted; narrow the search by experiments, or leave order_by empty`;
  return new CodedError('resource_exhausted', 'SEARCH_TOO_LARGE', message);
}
