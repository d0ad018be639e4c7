import { defect } from '../defect.ts';
import type { OpenOptions } from '../open.ts';
import type { AnyCollectionSpec, Collection, DocumentStore } from '../port.ts';
import { createCollection } from './collection.ts';
import { createCursors } from './cursors.ts';
import { openDatabase } from './database.ts';
import { createEventLog } from './events.ts';
import { prepareLayout } from './layout.ts';
import { createLeases } from './leases.ts';
import { verifyFile } from './verify.ts';
import { createWriter } from './writer.ts';

/** Opens a store in a SQLite file. */
export function openSqlite(
  file: string,
  specs: readonly AnyCollectionSpec[],
  options: Pick<OpenOptions, 'now' | 'onFatal'>,
): DocumentStore {
  const now = options.now ?? Date.now;
  const db = openDatabase(file);
  try {
    prepareLayout(db, specs);
  } catch (caught) {
    db.close();
    throw caught;
  }
  const writer = createWriter(db, options.onFatal ?? (() => {}));
  const collections = new Map<string, Collection<unknown>>(
    specs.map((spec) => [spec.name, createCollection<unknown>(db, writer, spec, now)]),
  );
  let closed = false;
  return {
    collection<T, F extends string>(spec: { readonly name: string }) {
      const found = collections.get(spec.name);
      if (!found) throw defect(`the collection ${spec.name} was not named when the store was opened`);
      return found as unknown as Collection<T, F>;
    },
    events: createEventLog(db, writer),
    cursors: createCursors(db, writer),
    leases: createLeases(db, writer, now),
    check: () =>
      writer.write(
        () => void db.run('INSERT OR REPLACE INTO probe(id, at) VALUES (1, ?)', Math.trunc(now())),
      ),
    verify: () => verifyFile(file),
    async close() {
      if (closed) return;
      closed = true;
      writer.close();
      db.close();
    },
  };
}
