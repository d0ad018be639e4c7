import { setImmediate } from 'node:timers/promises';
import type { DocumentStore, Versioned } from '@millrace/documents';
import { CodedError } from '@millrace/errors';
import type { Predicate, Row } from '../domain/filter/evaluate.ts';
import { comparePlaces, type Place, placeOf } from '../domain/filter/order.ts';
import type { SortKey } from '../domain/filter/syntax.ts';
import type { Run } from '../domain/run.ts';
import { runsSpec } from './collections.ts';
import type { View } from './experiments.ts';
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

/**
 * Finds runs. Each call reads the runs of the project or experiment from the newest on; the order by age stops when its
 * page is full, other orders keep only the best of what they see.
 */
export async function searchRuns(store: DocumentStore, search: RunSearch): Promise<RunsFound> {
  return search.order.length === 0 ? byAge(store, search) : sorted(store, search);
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
  const { order, limit, after, matches } = search;
  const best: { readonly place: Place; readonly found: Versioned<Run> }[] = [];
  let more = false;
  let seen = 0;
  for await (const found of scan(store, search)) {
    seen += 1;
    if (seen > sortableRuns) throw tooMany();
    const row = rowOf(found);
    if (!matches(row)) continue;
    const place = placeOf(row, found.doc.id, order);
    if (after && comparePlaces(place, after, order) <= 0) continue;
    const worst = best.at(-1);
    if (best.length === limit && worst && comparePlaces(place, worst.place, order) > 0) {
      more = true;
      continue;
    }
    best.splice(insertionPoint(best, place, order), 0, { place, found });
    if (best.length > limit) {
      best.pop();
      more = true;
    }
  }
  const last = best.at(-1);
  return { runs: best.map(({ found }) => found), ...(more && last ? { next: last.place } : {}) };
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
    attribute: (name) => {
      switch (name) {
        case 'run_id':
          return doc.id;
        case 'run_name':
          return doc.displayName;
        case 'experiment':
          return String(doc.experiment);
        case 'status':
          return doc.status;
        case 'start_time':
          return doc.startTimeMs ?? undefined;
        case 'end_time':
          return doc.endTimeMs ?? undefined;
        case 'create_time':
          return createdAtMs;
        case 'update_time':
          return updatedAtMs;
      }
    },
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
