import { registryEvents } from '@millrace/contracts';
import { type DocumentStore, defineCollection, openDocuments } from '@millrace/documents';
import { draft } from '../src/index.ts';

export const { aliasMoved, modelCreated } = registryEvents;

interface Note {
  readonly count: number;
}

const notes = defineCollection<Note, never>({ name: 'notes', fields: {}, indexes: [] });

/** A real store in a folder, with a way to record events. */
export async function openStore(folder: string): Promise<DocumentStore> {
  return openDocuments({ url: `sqlite:${folder}/documents.db`, collections: [notes] });
}

/** Records `count` events, each in a commit of its own, about `resources` resources in turn. Returns their ids. */
export async function record(store: DocumentStore, count: number, resources = 10): Promise<string[]> {
  const ids: string[] = [];
  const all = Array.from({ length: count }, async (_, index) => {
    const resource = `projects/default/models/m${index % resources}`;
    const data = { name: resource, version: index };
    const event = draft(aliasMoved, { project: 'default', resource, data, timeMs: Date.now() });
    ids.push(event.id);
    await store.collection(notes).upsert(`n${index}`, (doc) => ({
      doc: { count: (doc?.count ?? 0) + 1 },
      emit: [event],
    }));
  });
  await Promise.all(all);
  return ids;
}
