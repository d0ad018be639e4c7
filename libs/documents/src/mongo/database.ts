import { type Collection, type Db, MongoClient } from 'mongodb';
import type { AnyCollectionSpec } from '../port.ts';
import { guard } from './faults.ts';
import type { Stored, StoredEvent } from './stored.ts';

/** The collections of a database. Ours beside the documents begin with `_`, which declared names cannot. */
export interface Database {
  readonly client: MongoClient;
  readonly db: Db;
  documents(spec: AnyCollectionSpec): Collection<Stored>;
  readonly events: Collection<StoredEvent>;
  readonly meta: Collection<{ _id: string; value: string | number }>;
  readonly cursors: Collection<{ _id: string; position: number }>;
  readonly leases: Collection<{ _id: string; owner: string; token: number; until: Date; seen: Date }>;
}

/**
 * Connects. Writes are acknowledged by a majority, from the journal; reads come from the primary and see only what a
 * majority has, so nothing that was read is rolled back.
 */
export async function connect(url: string): Promise<Database> {
  const client = new MongoClient(url, {
    writeConcern: { w: 'majority', journal: true },
    readConcern: { level: 'majority' },
    readPreference: 'primary',
    retryWrites: true,
    promoteBuffers: true,
    ignoreUndefined: true,
    serverSelectionTimeoutMS: 5000,
    appName: 'millrace',
  });
  const named = new URL(url.replace(/^mongodb(\+srv)?:\/\/[^/]*/, 'http://host')).pathname.slice(1);
  const db = client.db(decodeURIComponent(named) || 'millrace');
  await guard(async () => {
    await client.connect();
    await db.command({ ping: 1 });
  }).catch(async (caught) => {
    await client.close();
    throw caught;
  });
  return {
    client,
    db,
    documents: (spec) => db.collection<Stored>(spec.name),
    events: db.collection('_events'),
    meta: db.collection('_meta'),
    cursors: db.collection('_cursors'),
    leases: db.collection('_leases'),
  };
}
