import { defect } from '../defect.ts';
import type { OpenOptions } from '../open.ts';
import type { AnyCollectionSpec, Collection, DocumentStore } from '../port.ts';
import { createCollection } from './collection.ts';
import { createCursors } from './cursors.ts';
import { connect } from './database.ts';
import { createEventLog } from './events.ts';
import { guard } from './faults.ts';
import { prepareLayout } from './layout.ts';
import { createLeases } from './leases.ts';
import { createMover } from './mover.ts';

/** Opens a store in a MongoDB database. */
export async function openMongo(
  url: string,
  specs: readonly AnyCollectionSpec[],
  options: Pick<OpenOptions, 'now'>,
): Promise<DocumentStore> {
  const now = options.now ?? Date.now;
  const database = await connect(url);
  try {
    await guard(() => prepareLayout(database, specs));
  } catch (caught) {
    await database.client.close();
    throw caught;
  }
  const leases = createLeases(database);
  const mover = createMover(database, specs, leases);
  const collections = new Map<string, Collection<unknown>>(
    specs.map((spec) => [spec.name, createCollection<unknown>(database, mover, spec, now)]),
  );
  let closed = false;
  return {
    collection<T, F extends string>(spec: { readonly name: string }) {
      const found = collections.get(spec.name);
      if (!found) throw defect(`the collection ${spec.name} was not named when the store was opened`);
      return found as unknown as Collection<T, F>;
    },
    events: createEventLog(database, mover),
    cursors: createCursors(database),
    leases,
    foreignWrites: async () => undefined,
    check: () =>
      guard(async () => {
        await database.meta.updateOne({ _id: 'probe' }, { $set: { value: now() } }, { upsert: true });
      }),
    // Its pages carry checksums, which the server compares whenever it reads one.
    verify: async () => [],
    async close() {
      if (closed) return;
      closed = true;
      await mover.close();
      await database.client.close();
    },
  };
}
