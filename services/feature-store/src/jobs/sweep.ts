import type { Pushes } from '../online/pushes.ts';
import type { Garbage } from '../store/collections.ts';
import { all, type Store } from '../store/store.ts';

export const garbageId = ({ uid, version }: Garbage): string => `${uid}:${version ?? 'all'}`;

/**
 * Removes what deleted views and earlier versions left behind, after bringing pushed rows into the version that
 * followed. An entry that was written before a change that never came is dropped with nothing removed.
 */
export async function sweep(store: Store, pushes: Pushes, nowMs: number, signal: AbortSignal): Promise<void> {
  for await (const { id, doc, createdAtMs } of all(store.garbage, {})) {
    if (signal.aborted) return;
    const held = await store.views.get(doc.view);
    const view = held?.doc.uid === doc.uid ? held.doc : undefined;
    const live = view !== undefined && (doc.version === null || doc.version === view.version);
    if (live) {
      // The change may still be under way; after a minute it never came.
      if (nowMs - createdAtMs > 60_000) await store.garbage.remove(id);
      continue;
    }
    if (view) await pushes.carryOver(view);
    await removeOnline(store, doc, signal);
    // Interrupted: the entry stays, or what is left would never be found again.
    if (signal.aborted) return;
    if (!view) {
      for await (const { id: push } of all(store.pushes, { where: { uid: doc.uid } }))
        await store.pushes.remove(push);
    }
    await store.garbage.remove(id);
  }
}

async function removeOnline(store: Store, { uid, version }: Garbage, signal: AbortSignal): Promise<void> {
  for (const generation of version === null ? [] : [`${uid}:${version}`]) {
    for (;;) {
      const { items } = await store.online.find({ where: { generation }, limit: 500 });
      if (items.length === 0 || signal.aborted) break;
      await Promise.all(items.map((item) => store.online.remove(item.id)));
    }
  }
}
