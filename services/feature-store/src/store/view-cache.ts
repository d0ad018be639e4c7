import type { Collection } from '@millrace/documents';
import type { FeatureView } from '../domain/definition.ts';

/** The views, with those that online reads ask for kept in memory. */
export interface Views extends Collection<FeatureView, 'project'> {
  /** Several by resource name, as `getMany`; the same object as long as a view does not change. */
  known(names: readonly string[]): Promise<readonly (FeatureView | undefined)[]>;
}

/** More than this are not kept: they begin anew. */
const mostKept = 10_000;

/**
 * Keeps views in memory as long as nobody writes one: this process forgets them at each of its own writes, and at those of
 * another where the store can tell; where it cannot, nothing is kept.
 */
export function keepViews(
  views: Collection<FeatureView, 'project'>,
  foreignWrites: () => Promise<number | undefined>,
): Views {
  const kept = new Map<string, FeatureView>();
  let [writes, underWay] = [0, 0];
  let moment: number | undefined;

  const writing = async <R>(write: Promise<R>): Promise<R> => {
    writes += 1;
    underWay += 1;
    kept.clear();
    try {
      return await write;
    } finally {
      underWay -= 1;
      kept.clear();
    }
  };

  async function read(names: readonly string[]): Promise<readonly (FeatureView | undefined)[]> {
    const [before, at] = [writes, moment];
    const docs = (await views.getMany(names)).map((held) => held?.doc);
    // What was read beside a write may be from before it.
    const isSame = at !== undefined && at === (await foreignWrites());
    const isKept = isSame && at === moment && writes === before && underWay === 0;
    docs.forEach((doc, i) => {
      if (isKept && doc && kept.size < mostKept) kept.set(names[i]!, doc);
    });
    return docs;
  }

  return {
    get: (id) => views.get(id),
    getMany: (ids) => views.getMany(ids),
    find: (query) => views.find(query),
    count: (where) => views.count(where),
    insert: (...of) => writing(views.insert(...of)),
    change: (...of) => writing(views.change(...of)),
    upsert: (...of) => writing(views.upsert(...of)),
    remove: (...of) => writing(views.remove(...of)),
    async known(names) {
      const now = await foreignWrites();
      if (now === undefined || now !== moment) kept.clear();
      moment = now;
      const found = names.map((name) => kept.get(name));
      return found.includes(undefined) ? read(names) : found;
    },
  };
}
