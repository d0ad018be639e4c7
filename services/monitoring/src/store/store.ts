import type { Collection, DocumentStore, Page, Versioned } from '@millrace/documents';
import type { ReferenceColumn } from '../domain/column.ts';
import * as collections from './collections.ts';
import { toNumbers } from './column-codec.ts';

/** The service's collections, opened. */
export type Store = ReturnType<typeof openStore>;

export function openStore(documents: DocumentStore) {
  return {
    documents,
    monitors: documents.collection(collections.monitors),
    baselines: documents.collection(collections.baselines),
    chunks: documents.collection(collections.chunks),
    windows: documents.collection(collections.windows),
    labels: documents.collection(collections.labels),
    reports: documents.collection(collections.reports),
    alerts: documents.collection(collections.alerts),
    removals: documents.collection(collections.removals),
  };
}

/** Every document that matches, page by page. */
export async function* all<T, F extends string>(
  collection: Collection<T, F>,
  query: Parameters<Collection<T, F>['find']>[0],
): AsyncGenerator<Versioned<T>> {
  for (let after: string | undefined; ; ) {
    const page: Page<T> = await collection.find({ ...query, ...(after ? { after } : {}) });
    yield* page.items;
    after = page.next;
    if (!after) return;
  }
}

/** A baseline's columns, ready to compare with; none when there is no such baseline. */
export async function referencesOf(store: Store, key: string): Promise<readonly ReferenceColumn[]> {
  const found = await store.baselines.get(key);
  return (found?.doc.columns ?? []).map(({ sampleBytes, ...column }) => ({
    ...column,
    sample: toNumbers(sampleBytes),
  }));
}
