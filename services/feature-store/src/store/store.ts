import {
  type Collection,
  createRequestLedger,
  type DocumentStore,
  type Query,
  type Versioned,
} from '@millrace/documents';
import * as specs from './collections.ts';
import { keepViews } from './view-cache.ts';

/** The service's documents. */
export function createStore(store: DocumentStore, now: () => number) {
  return {
    documents: store,
    ledger: createRequestLedger(store, now),
    entities: store.collection(specs.entities),
    sources: store.collection(specs.sources),
    views: keepViews(store.collection(specs.views), () => store.foreignWrites()),
    online: store.collection(specs.online),
    pushes: store.collection(specs.pushes),
    materializations: store.collection(specs.materializations),
    trainingSets: store.collection(specs.trainingSets),
    garbage: store.collection(specs.garbage),
  };
}

export type Store = ReturnType<typeof createStore>;

/** All pages of a query, one document after another. */
export async function* all<T, F extends string>(
  collection: Collection<T, F>,
  query: Query<F>,
): AsyncGenerator<Versioned<T>> {
  let after: string | undefined;
  do {
    const page = await collection.find({ limit: 500, ...query, ...(after ? { after } : {}) });
    yield* page.items;
    after = page.next;
  } while (after);
}
