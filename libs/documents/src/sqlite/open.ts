import { defect } from '../defect.ts';
import type { OpenOptions } from '../open.ts';
import type { AnyCollectionSpec, Collection, DocumentStore } from '../port.ts';
import { createCollection } from './collection.ts';
import { createCursors } from './cursors.ts';
import { inMemory, openDatabase } from './database.ts';
import { createEventLog } from './events.ts';
import { prepareLayout } from './layout.ts';
import { createLeases } from './leases.ts';
import { type LogSync, openLogSync } from './log-sync.ts';
import { verifyFile } from './verify.ts';
import { createWriter } from './writer.ts';

/** Opens a store in a SQLite file. */
export async function openSqlite(
  file: string,
  specs: readonly AnyCollectionSpec[],
  options: Pick<OpenOptions, 'name' | 'now' | 'onFatal'>,
): Promise<DocumentStore> {
  const now = options.now ?? Date.now;
  const named = { name: options.name ?? 'the document store', file };
  const db = openDatabase(named);
  const probe = () => void db.run('INSERT OR REPLACE INTO probe(id, at) VALUES (1, ?)', Math.trunc(now()));
  let log: LogSync | undefined;
  try {
    prepareLayout(db, specs);
    if (file !== inMemory) {
      // A first write makes the log, and SQLite syncs it and its folder; whatever an earlier process left is on the disk then.
      probe();
      log = await openLogSync(file);
      db.exec('PRAGMA synchronous = NORMAL');
    }
  } catch (caught) {
    db.close();
    throw caught;
  }
  const writer = createWriter({ db, log, onFatal: options.onFatal ?? (() => {}) });
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
    // Source: sqlite.org/pragma.html#pragma_data_version
    foreignWrites: () => writer.read(() => db.one('PRAGMA data_version')?.data_version as number),
    check: () => writer.write(probe),
    verify: () => verifyFile(named),
    async close() {
      if (closed) return;
      closed = true;
      await writer.close();
      await log?.close();
      db.close();
    },
  };
}
