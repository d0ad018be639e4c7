import type { Collection, DocumentStore } from '@millrace/documents';
import type { Life } from './process.ts';
import type { World } from './world.ts';

/** A store as one life of a process sees it: each call may fail, or be its last. */
export function storeOf(world: World, life: Life, raw: DocumentStore): DocumentStore {
  const collection = <T, F extends string>(name: string, own: Collection<T, F>): Collection<T, F> => ({
    get: (id) => life.call(`${name}.get ${id}`, () => own.get(id)),
    getMany: (ids) => life.call(`${name}.getMany`, () => own.getMany(ids)),
    insert: (id, ...rest) => life.call(`${name}.insert ${id}`, () => own.insert(id, ...rest)),
    change: (id, ...rest) => life.call(`${name}.change ${id}`, () => own.change(id, ...rest)),
    upsert: (id, ...rest) => life.call(`${name}.upsert ${id}`, () => own.upsert(id, ...rest)),
    remove: (id, ...rest) => life.call(`${name}.remove ${id}`, () => own.remove(id, ...rest)),
    find: (query) => life.call(`${name}.find`, () => own.find(query)),
    count: (where) => life.call(`${name}.count`, () => own.count(where)),
  });
  const { events, cursors, leases } = raw;
  return {
    collection: (spec) => collection(spec.name, raw.collection(spec)),
    events: {
      read: (query) => life.call('events.read', () => events.read(query)),
      has: (id) => life.call('events.has', () => events.has(id)),
      last: () => life.call('events.last', () => events.last()),
      first: () => life.call('events.first', () => events.first()),
      onCommit(wake) {
        const off = events.onCommit(() => life.later(0, wake));
        life.onDeath(off);
        return off;
      },
      trim: (upTo) => life.call('events.trim', () => events.trim(upTo)),
    },
    cursors: {
      get: (name) => life.call(`cursors.get ${name}`, () => cursors.get(name)),
      set: (name, position, options) =>
        life.call(`cursors.set ${name} ${position}`, async () => {
          await cursors.set(name, position, options);
          world.onCursor(name, position);
        }),
    },
    leases: {
      acquire: (name, owner, ms) =>
        life.call(`leases.acquire ${name}`, () => {
          world.leases.set(name, () => leases.release(name, owner));
          return leases.acquire(name, owner, ms);
        }),
      release: (name, owner) => life.call(`leases.release ${name}`, () => leases.release(name, owner)),
    },
    foreignWrites: () => life.call('foreignWrites', () => raw.foreignWrites()),
    check: () => life.call('check', () => raw.check()),
    verify: () => life.call('verify', () => raw.verify()),
    close: async () => {},
  };
}
