import type { BlobStore } from '@millrace/blobs';
import type { Collection, EventDraft, Query, Versioned } from '@millrace/documents';
import { isCoded } from '@millrace/errors';
import { type Mutation, versionOfEtag } from '@millrace/service';
import type { KeyCache } from '../online/key-cache.ts';
import type { Pushes } from '../online/pushes.ts';
import type { Sources } from '../sources.ts';
import type { Store } from '../store/store.ts';

/** What the handlers work with. */
export interface HandlerParts {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly sources: Sources;
  readonly pushes: Pushes;
  readonly cache: KeyCache;
  readonly maxUploadBytes: number;
  now(): number;
}

/** A change of a declared resource. */
export interface Applied<T> {
  readonly doc: T;
  readonly emit: (held: Versioned<T>) => readonly EventDraft[];
}

/**
 * Makes a resource what is wanted: creates or changes it, or leaves it when it is so already. `decide` may run again
 * when another writer was faster.
 */
export async function applyDocument<T, F extends string>(
  collection: Collection<T, F>,
  id: string,
  options: { readonly etag: string; readonly field: string; readonly mutation: Mutation; now(): number },
  decide: (current: T | undefined) => Applied<T>,
): Promise<Versioned<T>> {
  const expect = versionOfEtag(options.etag, `${options.field}.etag`);
  const request = options.mutation.requestId ? { requestId: options.mutation.requestId } : {};
  const held = await collection.get(id);
  const nowMs = options.now();
  if (!held && expect === undefined) {
    const { doc, emit } = decide(undefined);
    const made = { id, doc, version: 1, createdAtMs: nowMs, updatedAtMs: nowMs };
    try {
      return await collection.insert(id, doc, { emit: emit(made), ...request });
    } catch (error) {
      if (!isCoded(error, 'ALREADY_EXISTS')) throw error;
    }
  }
  const change = (current: T, version: number) => {
    const { doc, emit } = decide(current);
    if (JSON.stringify(doc) === JSON.stringify(current)) return undefined;
    const createdAtMs = held?.createdAtMs ?? nowMs;
    return { doc, emit: emit({ id, doc, version: version + 1, createdAtMs, updatedAtMs: nowMs }) };
  };
  return collection.change(id, change, { ...request, ...(expect === undefined ? {} : { expect }) });
}

/** One page of a collection's documents: 0 means 100 of them, more than 1,000 means 1,000. */
export async function pageOf<T, F extends string>(
  collection: Collection<T, F>,
  request: { readonly pageSize: number; readonly pageToken: string },
  query: Query<F>,
) {
  const after = request.pageToken === '' ? {} : { after: request.pageToken };
  const limit = Math.min(request.pageSize || 100, 1000);
  const { items, next } = await collection.find({ ...query, limit, ...after });
  return { items, nextPageToken: next ?? '' };
}
