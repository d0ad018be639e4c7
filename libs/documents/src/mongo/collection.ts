import { alreadyExists, notFound, versionConflict } from '@millrace/errors';
import type { UpdateFilter } from 'mongodb';
import { encode } from '../codec.ts';
import { newId } from '../id.ts';
import { keptMarks, marksOf } from '../marks.ts';
import type { AnyCollectionSpec, Change, ChangeOptions, Collection, EventDraft, Versioned } from '../port.ts';
import { checkSize } from '../size.ts';
import { checkId, fieldKeys } from '../spec.ts';
import type { Database } from './database.ts';
import { guard } from './faults.ts';
import { countDocuments, findDocuments } from './find.ts';
import { signatureOf } from './layout.ts';
import type { Mover } from './mover.ts';
import { type Stored, toPending, toVersioned, withoutLists } from './stored.ts';
import { type Attempt, compareAndSet, createQueue } from './writer.ts';

/** How many writes a document remembers by id; more than can be under way when one is followed up. */
const keptWrites = 16;

/** A collection of a MongoDB database. */
export function createCollection<T>(
  database: Database,
  mover: Mover,
  spec: AnyCollectionSpec,
  now: () => number,
): Collection<T> {
  const documents = database.documents(spec);
  const fields = signatureOf(spec);
  const inTurn = createQueue();
  const live = (stored: Stored | null | undefined) => (stored && !stored.gone ? stored : undefined);

  /** The whole of a document after a change. */
  function compose(id: string, writeId: string, before: Stored | undefined, change: Change<T> & {}) {
    const { text, bytes } = encode(change.doc);
    checkSize(text, bytes, change.emit);
    const updated = now();
    const set = {
      version: (before?.version ?? 0) + 1,
      born: before?.born ?? writeId,
      created: before?.created ?? updated,
      updated,
      doc: text,
      bytes: bytes && Buffer.from(bytes),
      f: fieldKeys(spec, change.doc),
      fields,
    };
    const result: Versioned<T> = {
      id,
      doc: change.doc,
      version: set.version,
      createdAtMs: set.created,
      updatedAtMs: updated,
    };
    return { set, result };
  }

  async function update(at: Stored, changes: UpdateFilter<Stored>): Promise<boolean> {
    const { _id, version, born } = at;
    return (await documents.updateOne({ _id, version, born }, changes)).matchedCount === 1;
  }

  /** What a write adds to a document's bounded lists and waiting events; empty lists change nothing. */
  const pushes = (writeId: string, marks: readonly string[], emit: readonly EventDraft[] = []) => ({
    writes: { $each: [writeId], $slice: -keptWrites },
    marks: { $each: [...marks], $slice: -keptMarks },
    out: { $each: emit.map(toPending) },
  });

  /** Runs `decide` on the document as it is and stores what it says. */
  async function write(
    id: string,
    decide: (before: Versioned<T> | undefined) => Change<T>,
    options: ChangeOptions,
  ): Promise<Versioned<T> | undefined> {
    const marks = marksOf(options);
    const writeId = newId();
    let emitted = false;
    const attempt: Attempt<Versioned<T> | undefined> = (stored) => {
      emitted = false;
      const existing = live(stored);
      const before = existing && toVersioned<T>(existing);
      if (existing && marks.some((mark) => existing.marks.includes(mark))) return { result: before };
      checkExpected(before, options.expect);
      const change = decide(before);
      if (!change) {
        if (!existing || marks.length === 0) return { result: before };
        return { result: before, write: () => update(existing, { $push: pushes(writeId, marks) }) };
      }
      const { set, result } = compose(id, writeId, existing, change);
      emitted = (change.emit?.length ?? 0) > 0;
      if (!stored) {
        const out = (change.emit ?? []).map(toPending);
        const fresh: Stored = { _id: id, ...set, marks, writes: [writeId], out };
        return { result, write: async () => (await documents.insertOne(fresh)).acknowledged };
      }
      if (existing)
        return {
          result,
          write: () => update(stored, { $set: set, $push: pushes(writeId, marks, change.emit) }),
        };
      // A removed document whose events still wait: the new one takes its place and keeps them.
      const out = (change.emit ?? []).map(toPending);
      const reborn: UpdateFilter<Stored> = {
        $set: { ...set, marks, writes: [writeId] },
        $push: { out: { $each: out } },
        $unset: { gone: true },
      };
      return { result, write: () => update(stored, reborn) };
    };
    const done = (stored: Stored) => live(stored) && toVersioned<T>(stored);
    const result = await inTurn(id, () =>
      compareAndSet(documents, id, writeId, attempt, { done, makeRoom: mover.move }),
    );
    if (emitted) mover.recordedEvents();
    return result;
  }

  async function remove(id: string, options: ChangeOptions & { readonly emit?: readonly EventDraft[] }) {
    const writeId = newId();
    let buried = false;
    const attempt: Attempt<void> = (stored) => {
      const existing = live(stored);
      if (!existing) return { result: undefined };
      checkExpected(toVersioned(existing), options.expect);
      const { version, born } = existing;
      if (!options.emit?.length && existing.out.length === 0) {
        const at = { _id: id, version, born, out: { $size: 0 } };
        return { result: undefined, write: async () => (await documents.deleteOne(at)).deletedCount === 1 };
      }
      // Its events must not go with it: it stays, unseen, until they are moved.
      buried = true;
      const tombstone: UpdateFilter<Stored> = {
        $set: { gone: true, version: version + 1, f: {}, doc: 'null', bytes: null },
        $push: pushes(writeId, [], options.emit),
      };
      return { result: undefined, write: () => update(existing, tombstone) };
    };
    await inTurn(id, () =>
      compareAndSet(documents, id, writeId, attempt, { done: () => undefined, makeRoom: mover.move }),
    );
    if (buried) mover.recordedEvents();
  }

  function checkExpected(before: Versioned<unknown> | undefined, expect: number | undefined): void {
    if (before && expect !== undefined && expect !== before.version)
      throw versionConflict(`${spec.name}/${before.id}`, expect, before.version);
  }

  return {
    async get(id) {
      const stored = live(await guard(() => documents.findOne({ _id: id }, { projection: withoutLists })));
      return stored && toVersioned(stored);
    },
    async getMany(ids) {
      const found = await guard(() =>
        documents.find({ _id: { $in: [...new Set(ids)] } }, { projection: withoutLists }).toArray(),
      );
      const byId = new Map(found.map((stored) => [stored._id, stored]));
      return ids.map((id) => {
        const stored = live(byId.get(id));
        return stored && toVersioned(stored);
      });
    },
    async insert(id, doc, options = {}) {
      checkId(spec, id);
      const decide = (before: Versioned<T> | undefined) => {
        if (before) throw alreadyExists(`${spec.name}/${id}`);
        return { doc, ...(options.emit && { emit: options.emit }) };
      };
      return (await write(id, decide, { ...options }))!;
    },
    async change(id, decide, options = {}) {
      const decideExisting = (before: Versioned<T> | undefined) => {
        if (!before) throw notFound(`${spec.name}/${id}`);
        return decide(before.doc, before.version);
      };
      return (await write(id, decideExisting, options))!;
    },
    async upsert(id, decide, options = {}) {
      checkId(spec, id);
      return write(id, (before) => decide(before?.doc), options);
    },
    remove: async (id, options = {}) => remove(id, options),
    find: (query) => findDocuments<T>(documents, spec, query),
    count: (where) => countDocuments(documents, spec, where),
  };
}
