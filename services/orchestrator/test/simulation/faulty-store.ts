import type {
  AnyCollectionSpec,
  Change,
  Collection,
  CollectionSpec,
  DocumentStore,
  EventDraft,
} from '@millrace/documents';
import type { Life } from './life.ts';

/** A change of a document at the moment of its commit. */
export interface Commit {
  readonly collection: string;
  readonly id: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly emit: readonly EventDraft[];
  /** The process that asked for it, also when it is dead by now. */
  readonly life: Life;
  /** How long ago it was asked for, in milliseconds. */
  readonly ageMs: number;
}

/** The documents as one process reaches them: every call takes time and may fail; every commit is shown to `onCommit`. */
export function faultyStore(
  real: DocumentStore,
  life: Life,
  now: () => number,
  onCommit: (commit: Commit) => void,
): DocumentStore {
  function wrap<T, F extends string>(spec: AnyCollectionSpec, inner: Collection<T, F>): Collection<T, F> {
    const ask = <R>(method: string, id: string, act: (askedMs: number) => Promise<R>) => {
      const askedMs = now();
      return life.ask(`${spec.name}.${method} ${id}`, () => act(askedMs));
    };
    /** Runs a write whose decision is looked at. */
    async function write<R>(
      id: string,
      askedMs: number,
      decide: (doc: T | undefined, version: number) => Change<T>,
      act: (decide: (doc: T | undefined, version?: number) => Change<T>) => Promise<R>,
    ): Promise<R> {
      let seen: { before: T | undefined; change: Change<T> } | undefined;
      const result = await act((doc, version = 0) => {
        const change = decide(doc, version);
        seen = { before: doc, change };
        return change;
      });
      if (seen?.change) {
        const { doc: after, emit = [] } = seen.change;
        onCommit({
          collection: spec.name,
          id,
          before: seen.before,
          after,
          emit,
          life,
          ageMs: now() - askedMs,
        });
      }
      return result;
    }
    return {
      get: (id) => ask('get', id, () => inner.get(id)),
      getMany: (ids) => ask('getMany', ids.join(), () => inner.getMany(ids)),
      insert: (id, doc, options) => ask('insert', id, () => inner.insert(id, doc, options)),
      change: (id, decide, options) =>
        ask('change', id, (askedMs) =>
          write(
            id,
            askedMs,
            (doc, version) => decide(doc as T, version),
            (seen) => inner.change(id, seen, options),
          ),
        ),
      upsert: (id, decide, options) =>
        ask('upsert', id, (askedMs) => write(id, askedMs, decide, (seen) => inner.upsert(id, seen, options))),
      remove: (id, options) => ask('remove', id, () => inner.remove(id, options)),
      find: (query) => ask('find', '', () => inner.find(query)),
      count: (where) => ask('count', '', () => inner.count(where)),
    };
  }
  return {
    ...real,
    collection: <T, F extends string>(spec: CollectionSpec<T, F>) => wrap(spec, real.collection(spec)),
    events: { ...real.events, has: (id) => life.ask(`the record for ${id}`, () => real.events.has(id)) },
    leases: {
      acquire: (name, owner, ms) => life.ask(`lease ${name}`, () => real.leases.acquire(name, owner, ms)),
      release: (name, owner) => life.ask(`release ${name}`, () => real.leases.release(name, owner)),
    },
  };
}
