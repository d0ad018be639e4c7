import { CodedError } from '@millrace/errors';
import type { IndexDescription } from 'mongodb';
import type { AnyCollectionSpec } from '../port.ts';
import { fieldKeys } from '../spec.ts';
import type { Database } from './database.ts';
import { type Stored, toVersioned } from './stored.ts';

/** The layout this release writes; raised by changes that an older release could not read. */
const layout = 1;

/** Which declared fields a document's index keys were computed from. */
export const signatureOf = (spec: AnyCollectionSpec) => Object.keys(spec.fields).sort().join(',');

/** Brings a database to this release's layout and these declarations. Every step can be done again after a crash. */
export async function prepareLayout(database: Database, specs: readonly AnyCollectionSpec[]): Promise<void> {
  const { meta, events, db } = database;
  const stored = Number((await meta.findOne({ _id: 'layout' }))?.value ?? 0);
  if (stored > layout) {
    const message = `database ${db.databaseName} has layout ${stored}, this release knows up to ${layout}`;
    const next = 'start the newer release, or restore a backup from before it';
    throw new CodedError('failed_precondition', 'STORE_LAYOUT_NEWER', `${message}; ${next}`);
  }
  await events.createIndexes([
    { key: { id: 1 }, name: 'id', unique: true },
    { key: { type: 1, _id: 1 }, name: 'type' },
    { key: { project: 1, _id: 1 }, name: 'project' },
  ]);
  for (const spec of specs) await prepareCollection(database, spec);
  if (stored < layout) await meta.updateOne({ _id: 'layout' }, { $max: { value: layout } }, { upsert: true });
}

async function prepareCollection(database: Database, spec: AnyCollectionSpec): Promise<void> {
  const documents = database.documents(spec);
  const wanted: IndexDescription[] = spec.indexes.map((fields) => ({
    name: `x:${fields.join(':')}`,
    key: Object.fromEntries([...fields.map((field) => [`f.${field}`, 1] as const), ['_id', 1]]),
  }));
  // Sparse: only documents with events to move have an entry.
  await documents.createIndexes([...wanted, { name: 'out', key: { 'out.stamp': 1 }, sparse: true }]);
  const names = new Set(wanted.map((index) => index.name));
  for (const { name } of await documents.indexes())
    if (name?.startsWith('x:') && !names.has(name)) await documents.dropIndex(name);
  const signature = signatureOf(spec);
  const key = `fields:${spec.name}`;
  if ((await database.meta.findOne({ _id: key }))?.value === signature) return;
  await backfill(database, spec, signature);
  await database.meta.updateOne({ _id: key }, { $set: { value: signature } }, { upsert: true });
}

/** Computes the index keys of documents that were stored before a field was declared. */
async function backfill(database: Database, spec: AnyCollectionSpec, signature: string): Promise<void> {
  const documents = database.documents(spec);
  for await (const stored of documents.find<Stored>({ fields: { $ne: signature } })) {
    if (stored.gone) continue;
    const { _id, version, born } = stored;
    const f = fieldKeys(spec, toVersioned(stored).doc);
    // A document that changes meanwhile is written with all its fields by that change.
    await documents.updateOne({ _id, version, born }, { $set: { f, fields: signature } });
  }
}
