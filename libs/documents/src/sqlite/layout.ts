import { channel } from 'node:diagnostics_channel';
import { CodedError } from '@millrace/errors';
import { decode } from '../codec.ts';
import type { AnyCollectionSpec } from '../port.ts';
import { fieldKeys } from '../spec.ts';
import type { Database } from './database.ts';

/**
 * The steps from one layout to the next; the layout of a file is how many it has taken (`user_version`). Steps are
 * only ever appended.
 */
const steps: readonly string[] = [
  `
  CREATE TABLE events(
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, project TEXT NOT NULL,
    resource TEXT NOT NULL, time INTEGER NOT NULL, data BLOB NOT NULL, traceparent TEXT);
  CREATE INDEX events_type ON events(type, sequence);
  CREATE INDEX events_project ON events(project, sequence);
  CREATE TABLE marks(
    collection TEXT NOT NULL, id TEXT NOT NULL, mark TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY(collection, id, mark)) WITHOUT ROWID;
  CREATE TABLE cursors(name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE leases(
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, token INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE probe(id INTEGER PRIMARY KEY, at INTEGER NOT NULL);
  `,
  // Marks get a place among those of their document: the version says nothing of writes that changed nothing.
  `
  CREATE TABLE placed_marks(
    collection TEXT NOT NULL, id TEXT NOT NULL, mark TEXT NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY(collection, id, mark)) WITHOUT ROWID;
  INSERT INTO placed_marks
    SELECT collection, id, mark, row_number() OVER (PARTITION BY collection, id ORDER BY version, mark) FROM marks;
  DROP TABLE marks;
  ALTER TABLE placed_marks RENAME TO marks;
  CREATE UNIQUE INDEX marks_place ON marks(collection, id, place);
  `,
];

/** Race point: a step is taken and not yet committed. */
const midMigration = channel('millrace:documents.mid-migration');

/** "Mill": tells our files from other programs' databases. */
const applicationId = 0x4d696c6c;

/** The table of a collection. */
export const tableOf = (spec: AnyCollectionSpec) => `"c_${spec.name}"`;

/** The column that holds the index key of a declared field. */
export const columnOf = (field: string) => `"f_${field}"`;

/** The name of an index. */
export const indexOf = (spec: AnyCollectionSpec, fields: readonly string[]) =>
  `"x_${spec.name}:${fields.join(':')}"`;

/** Brings a file to this release's layout and these declarations, wholly or not at all. */
export function prepareLayout(db: Database, specs: readonly AnyCollectionSpec[]): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    migrate(db);
    for (const spec of specs) prepareCollection(db, spec);
    db.exec('COMMIT');
  } catch (caught) {
    if (db.inTransaction()) db.exec('ROLLBACK');
    throw caught;
  }
}

function migrate(db: Database): void {
  const layout = Number(db.one('PRAGMA user_version')?.user_version);
  const owner = Number(db.one('PRAGMA application_id')?.application_id);
  const isNew = layout === 0 && owner === 0 && db.one('SELECT 1 FROM sqlite_schema') === undefined;
  if (!isNew && owner !== applicationId)
    throw refusal(`${db.file} is another program's database; name another file`, 'WRONG_STATE');
  if (layout > steps.length) {
    const message = `${db.file} has layout ${layout}, this release knows up to ${steps.length}`;
    throw refusal(
      `${message}; start the newer release, or restore a backup from before it`,
      'STORE_LAYOUT_NEWER',
    );
  }
  for (const step of steps.slice(layout)) {
    db.exec(step);
    midMigration.publish(undefined);
  }
  if (isNew) db.exec(`PRAGMA application_id = ${applicationId}`);
  if (layout < steps.length) db.exec(`PRAGMA user_version = ${steps.length}`);
}

function prepareCollection(db: Database, spec: AnyCollectionSpec): void {
  const table = tableOf(spec);
  db.exec(`CREATE TABLE IF NOT EXISTS ${table}(
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
    doc TEXT NOT NULL, bytes BLOB)`);
  const columns = db
    .all(`SELECT name FROM pragma_table_info('c_${spec.name}')`)
    .map((row) => `"${row.name}"`);
  const wanted = new Set(Object.keys(spec.fields).map(columnOf));
  const indexes = new Set(spec.indexes.map((fields) => indexOf(spec, fields)));
  for (const { name } of db.all(`SELECT name FROM pragma_index_list('c_${spec.name}') WHERE origin = 'c'`))
    if (!indexes.has(`"${name}"`)) db.exec(`DROP INDEX "${name}"`);
  for (const column of columns)
    if (column.startsWith('"f_') && !wanted.has(column))
      db.exec(`ALTER TABLE ${table} DROP COLUMN ${column}`);
  const added = [...wanted].filter((column) => !columns.includes(column));
  for (const column of added) db.exec(`ALTER TABLE ${table} ADD COLUMN ${column} TEXT NOT NULL DEFAULT '0'`);
  if (added.length > 0) backfill(db, spec);
  for (const fields of spec.indexes)
    db.exec(
      `CREATE INDEX IF NOT EXISTS ${indexOf(spec, fields)} ON ${table}(${fields.map(columnOf).join(', ')}, id)`,
    );
}

/** Computes the index keys of documents that were stored before a field was declared, in pages by id. */
function backfill(db: Database, spec: AnyCollectionSpec): void {
  const fields = Object.keys(spec.fields);
  const assignments = fields.map((field) => `${columnOf(field)} = ?`).join(', ');
  for (let after = ''; ; ) {
    const rows = db.all(
      `SELECT id, doc, bytes FROM ${tableOf(spec)} WHERE id > ? ORDER BY id LIMIT 500`,
      after,
    );
    for (const row of rows) {
      const keys = fieldKeys(spec, decode(row.doc as string, row.bytes as Uint8Array | null));
      const values = fields.map((field) => keys[field]!);
      db.run(`UPDATE ${tableOf(spec)} SET ${assignments} WHERE id = ?`, ...values, row.id as string);
      after = row.id as string;
    }
    if (rows.length < 500) return;
  }
}

function refusal(message: string, code: string): CodedError {
  return new CodedError('failed_precondition', code, message);
}
