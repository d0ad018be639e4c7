import { alreadyExists, notFound, versionConflict } from '@millrace/errors';
import { decode, encode } from '../codec.ts';
import { marksOf } from '../marks.ts';
import type {
  AnyCollectionSpec,
  ChangeOptions,
  Collection,
  EventDraft,
  Versioned,
  WriteOptions,
} from '../port.ts';
import { checkSize } from '../size.ts';
import { checkId, fieldKeys } from '../spec.ts';
import type { Database, Row } from './database.ts';
import { appendEvents } from './events.ts';
import { countRows, findRows } from './find.ts';
import { columnOf, tableOf } from './layout.ts';
import { hasMark, putMarks, removeMarks } from './marks.ts';
import type { Writer } from './writer.ts';

/** A collection of a SQLite file. */
export function createCollection<T>(
  db: Database,
  writer: Writer,
  spec: AnyCollectionSpec,
  now: () => number,
): Collection<T> {
  const table = tableOf(spec);
  const fields = Object.keys(spec.fields);
  const columns = ['id', 'version', 'created', 'updated', 'doc', 'bytes', ...fields.map(columnOf)].join(', ');
  const slots = ['?, ?, ?, ?, ?, ?', ...fields.map(() => '?')].join(', ');
  const insertSql = `INSERT INTO ${table}(${columns}) VALUES (${slots})`;
  const updateSql = `UPDATE ${table} SET ${['version', 'updated', 'doc', 'bytes', ...fields.map(columnOf)]
    .map((column) => `${column} = ?`)
    .join(', ')} WHERE id = ?`;
  const selectSql = `SELECT id, version, created, updated, doc, bytes FROM ${table} WHERE id = ?`;

  const read = (id: string): Versioned<T> | undefined => {
    const row = db.one(selectSql, id);
    return row && toVersioned<T>(row);
  };
  const record = (events: readonly EventDraft[] = []) => {
    if (events.length === 0) return;
    appendEvents(db, events);
    writer.recordedEvents();
  };

  function store(
    id: string,
    before: Versioned<T> | undefined,
    doc: T,
    emit: readonly EventDraft[] | undefined,
  ) {
    const { text, bytes } = encode(doc);
    checkSize(text, bytes, emit);
    const keys = fieldKeys(spec, doc);
    const values = fields.map((field) => keys[field]!);
    const updatedAtMs = now();
    const version = (before?.version ?? 0) + 1;
    const createdAtMs = before?.createdAtMs ?? updatedAtMs;
    if (before) db.run(updateSql, version, updatedAtMs, text, bytes, ...values, id);
    else db.run(insertSql, id, version, createdAtMs, updatedAtMs, text, bytes, ...values);
    record(emit);
    return { id, doc, version, createdAtMs, updatedAtMs };
  }

  /** The document, if it took this write already. */
  function answered(before: Versioned<T> | undefined, options: WriteOptions): Versioned<T> | undefined {
    return before && hasMark(db, spec.name, before.id, marksOf(options)) ? before : undefined;
  }

  function change(
    id: string,
    decide: (doc: T | undefined, version: number) => { doc: T; emit?: readonly EventDraft[] } | undefined,
    options: ChangeOptions,
    mustExist: boolean,
  ): Versioned<T> | undefined {
    const before = read(id);
    if (!before && mustExist) throw notFound(`${spec.name}/${id}`);
    const already = answered(before, options);
    if (already) return already;
    if (before && options.expect !== undefined && options.expect !== before.version)
      throw versionConflict(`${spec.name}/${id}`, options.expect, before.version);
    const decided = decide(before?.doc, before?.version ?? 0);
    const after = decided ? store(id, before, decided.doc, decided.emit) : before;
    if (after) putMarks(db, spec.name, id, marksOf(options));
    return after;
  }

  return {
    get: (id) => writer.read(() => read(id)),
    getMany: (ids) => writer.read(() => ids.map(read)),
    async insert(id, doc, options = {}) {
      checkId(spec, id);
      return writer.write(() => {
        const before = read(id);
        const already = answered(before, options);
        if (already) return already;
        if (before) throw alreadyExists(`${spec.name}/${id}`);
        const after = store(id, undefined, doc, options.emit);
        putMarks(db, spec.name, id, marksOf(options));
        return after;
      });
    },
    change: async (id, decide, options = {}) =>
      writer.write(() => change(id, (doc, version) => decide(doc as T, version), options, true)!),
    async upsert(id, decide, options = {}) {
      checkId(spec, id);
      return writer.write(() => change(id, decide, options, false));
    },
    remove: async (id, options = {}) =>
      writer.write(() => {
        const before = read(id);
        if (!before) return;
        if (options.expect !== undefined && options.expect !== before.version)
          throw versionConflict(`${spec.name}/${id}`, options.expect, before.version);
        db.run(`DELETE FROM ${table} WHERE id = ?`, id);
        removeMarks(db, spec.name, id);
        record(options.emit);
      }),
    find: (query) => writer.read(() => findRows(db, spec, query, toVersioned<T>)),
    count: (where) => writer.read(() => countRows(db, spec, where)),
  };
}

function toVersioned<T>(row: Row): Versioned<T> {
  return {
    id: row.id as string,
    doc: decode(row.doc as string, row.bytes as Uint8Array | null) as T,
    version: row.version as number,
    createdAtMs: row.created as number,
    updatedAtMs: row.updated as number,
  };
}
