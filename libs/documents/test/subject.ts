import { type DocumentStore, defineCollection, type EventDraft, newId, openDocuments } from '../src/index.ts';

/** What a contract test runs against: a place for fresh, empty databases. */
export interface Subject {
  readonly name: string;
  /** The URL of an empty database. */
  freshUrl(): Promise<string>;
}

export interface Item {
  readonly group: string;
  readonly rank: string | number | boolean | null;
  readonly count: number;
  readonly note?: string;
}

export const items = defineCollection({
  name: 'items',
  fields: {
    group: (item: Item) => item.group,
    rank: (item) => item.rank,
    count: (item) => item.count,
  },
  indexes: [['group'], ['group', 'rank'], ['group', 'count', 'rank'], ['count']],
});

/** A second collection of the same store, for what must hold across collections. */
export const notes = defineCollection({ name: 'notes', fields: {}, indexes: [] });

/** Opens a fresh store and closes it after `use`. */
export async function withStore(
  subject: Subject,
  use: (store: DocumentStore, url: string) => Promise<void>,
): Promise<void> {
  const url = await subject.freshUrl();
  const store = await openDocuments({ url, collections: [items, notes] });
  try {
    await use(store, url);
  } finally {
    await store.close();
  }
}

export function item(group: string, count = 0, rank: Item['rank'] = null): Item {
  return { group, rank, count };
}

export function event(over: Partial<EventDraft> = {}): EventDraft {
  return {
    id: newId(),
    type: 'millrace.tracking.run.finished.v1',
    project: 'default',
    resource: 'projects/default/runs/r1',
    timeMs: 1_700_000_000_000,
    data: new Uint8Array([1, 2, 3]),
    ...over,
  };
}
