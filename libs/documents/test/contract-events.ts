import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DocumentStore, newId, openDocuments } from '../src/index.ts';
import { event, item, items, notes, type Subject, withStore } from './subject.ts';

/** The event log, positions, leases, and what survives a kill. */
export function eventContract(subject: Subject): void {
  describe('events', () => {
    test('a change and its events are one', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        const full = event({ traceparent: '00-a-b-01', data: new Uint8Array([0, 255]) });
        await docs.insert('a', item('g'), { emit: [full, event({ project: 'p2' })] });
        await expect(docs.insert('a', item('g'), { emit: [event()] })).rejects.toThrow();
        await expect(
          docs.change('a', () => ({ doc: new Date() as never, emit: [event()] })),
        ).rejects.toThrow();
        await docs.remove('a', { emit: [event({ type: 'millrace.tracking.run.deleted.v1' })] });
        await docs.remove('a', { emit: [event()] });
        await docs.insert('a', item('g'), { emit: [event({ type: 'again' })] });
        const log = await readAll(store);
        expect(log.map((one) => one.sequence)).toEqual([1, 2, 3, 4]);
        expect(log[0]).toStrictEqual({ ...full, sequence: 1 });
        expect(await store.events.read({ after: 0, limit: 10, project: 'p2' })).toEqual([log[1]]);
        const types = ['millrace.tracking.run.deleted.v1', 'again'];
        expect(await store.events.read({ after: 0, limit: 10, types })).toEqual(log.slice(2));
        expect(await store.events.read({ after: 2, limit: 1, types, project: 'default' })).toEqual([log[2]]);
        expect(await store.collection(items).get('a')).toMatchObject({ version: 1 });
      }));

    test('an event that is recorded already is not recorded again', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        const fact = event();
        await docs.insert('a', item('g'), { emit: [fact] });
        await readAll(store);
        await docs.insert('b', item('g'), { emit: [fact, event()] });
        expect((await readAll(store)).map((one) => one.sequence)).toEqual([1, 2]);
      }));

    test('an event can be asked for by its id, also one that told of a removal', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        const [made, gone, never] = [event(), event(), event()];
        await docs.insert('a', item('g'), { emit: [made] });
        await docs.remove('a', { emit: [gone] });
        await docs.remove('a', { emit: [never] });
        const has = () => Promise.all([made, gone, never].map(({ id }) => store.events.has(id)));
        expect(await has()).toEqual([true, true, false]);
        await store.events.trim(1);
        expect(await has()).toEqual([false, true, false]);
      }));

    test('pages hold all events once and in order, and no more than 4 MB unless it is one event', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        const sizes = fc.array(fc.constantFrom(0, 1000, 700_000, 1_000_000, 4_100_000), { maxLength: 10 });
        const property = fc.asyncProperty(sizes, fc.integer({ min: 1, max: 12 }), async (all, limit) => {
          const start = await store.events.last();
          const drafts = all.map((size) => event({ data: new Uint8Array(size) }));
          for (const draft of drafts) await docs.upsert('a', () => ({ doc: item('g'), emit: [draft] }));
          const seen: string[] = [];
          for (let after = start; ; ) {
            const page = await store.events.read({ after, limit });
            if (page.length === 0) break;
            const bytes = page.reduce((sum, { data }) => sum + data.length, 0);
            if (page.length > 1) expect(bytes).toBeLessThanOrEqual(4_000_000);
            expect(page.length).toBeLessThanOrEqual(limit);
            seen.push(...page.map(({ id }) => id));
            after = page.at(-1)!.sequence;
          }
          expect(seen).toEqual(drafts.map(({ id }) => id));
        });
        await fc.assert(property, { numRuns: 8 });
      }));

    test('the log has no gaps and keeps the order of acknowledged writes, with several writers and readers', () =>
      withStore(subject, async (store, url) => {
        const other = await openDocuments({ url, collections: [items, notes] });
        const stores = [store, other];
        // Each chain writes one event after another was acknowledged, on changing documents, collections and stores.
        const chain = async (name: string) => {
          for (let i = 0; i < 24; i++) {
            const emit = [event({ resource: `${name}/${i}` })];
            const via = stores[Math.floor(i / 2) % 2]!;
            if (i % 3 === 0) await via.collection(notes).insert(newId(), {}, { emit });
            else await via.collection(items).upsert(`d${i % 5}`, () => ({ doc: item('g', i), emit }));
          }
        };
        const names = ['a', 'b', 'c', 'd'];
        const follow = async (from: DocumentStore) => {
          const seen: string[] = [];
          while (seen.length < names.length * 24) {
            for (const one of await from.events.read({ after: seen.length, limit: 7 })) {
              seen.push(one.resource);
              expect(one.sequence).toBe(seen.length);
            }
            await new Promise(setImmediate);
          }
          return seen;
        };
        const following = Promise.all(stores.map(follow));
        await Promise.all(names.map(chain));
        const [seen, alike] = await following;
        expect(alike).toEqual(seen);
        for (const name of names) {
          const own = seen!.filter((resource) => resource.startsWith(name));
          expect(own).toEqual(Array.from({ length: 24 }, (_, i) => `${name}/${i}`));
        }
        expect(await store.events.last()).toBe(names.length * 24);
        await other.close();
      }));

    test('subscribers wake after a commit with events, until they leave', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        let wakes = 0;
        const leave = store.events.onCommit(() => {
          wakes += 1;
        });
        await docs.insert('a', item('g'));
        expect(wakes).toBe(0);
        await docs.insert('b', item('g'), { emit: [event()] });
        await expect.poll(() => wakes).toBe(1);
        leave();
        await docs.insert('c', item('g'), { emit: [event()] });
        await store.events.read({ after: 0, limit: 10 });
        expect(wakes).toBe(1);
      }));

    test('trimmed events are gone and numbers are not used again', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        expect([await store.events.first(), await store.events.last()]).toEqual([1, 0]);
        for (let i = 0; i < 5; i++) await docs.insert(`d${i}`, item('g'), { emit: [event()] });
        await readAll(store);
        await store.events.trim(3);
        expect([await store.events.first(), await store.events.last()]).toEqual([4, 5]);
        await store.events.trim(5);
        expect([await store.events.first(), await store.events.last()]).toEqual([6, 5]);
        await docs.insert('last', item('g'), { emit: [event()] });
        expect((await readAll(store)).map((one) => one.sequence)).toEqual([6]);
      }));

    test('positions move forwards, backwards only by force', () =>
      withStore(subject, async ({ cursors }) => {
        expect(await cursors.get('relay')).toBe(0);
        await cursors.set('relay', 10);
        await cursors.set('relay', 4);
        expect(await cursors.get('relay')).toBe(10);
        await cursors.set('relay', 4, { force: true });
        expect([await cursors.get('relay'), await cursors.get('other')]).toEqual([4, 0]);
      }));

    test('a lease has one holder, and every holder a greater token', () =>
      withStore(subject, async (store, url) => {
        const other = await openDocuments({ url, collections: [items, notes] });
        const first = await store.leases.acquire('job', 'a', 30_000);
        expect(await other.leases.acquire('job', 'b', 30_000)).toBeUndefined();
        expect(await store.leases.acquire('job', 'a', 200)).toEqual(first);
        await other.leases.release('job', 'b');
        expect(await other.leases.acquire('job', 'b', 200)).toBeUndefined();
        await new Promise((resolve) => setTimeout(resolve, 300));
        const second = await other.leases.acquire('job', 'b', 30_000);
        expect(second!.token).toBeGreaterThan(first!.token);
        expect(await store.leases.acquire('job', 'a', 30_000)).toBeUndefined();
        await other.leases.release('job', 'b');
        const races = Array.from({ length: 8 }, (_, i) => store.leases.acquire('job', `r${i}`, 30_000));
        const held = (await Promise.all(races)).filter((lease) => lease !== undefined);
        expect(held).toHaveLength(1);
        expect(held[0]!.token).toBeGreaterThan(second!.token);
        await other.close();
      }));

    test('kill -9 of a writer loses nothing acknowledged, and no event without its change', async () => {
      const url = await subject.freshUrl();
      const acknowledged = new Set<string>();
      for (let round = 0; round < 3; round++) await killWriter(url, acknowledged);
      const store = await openDocuments({ url, collections: [items, notes] });
      const log = await readAll(store);
      expect(acknowledged.size).toBeGreaterThan(10);
      expect(log.map((one) => one.sequence)).toEqual(log.map((_, i) => i + 1));
      const told = new Set(log.map((one) => one.resource));
      expect(told.size).toBe(log.length);
      const ids = [...new Set([...acknowledged, ...told])];
      const found = await store.collection(items).getMany(ids);
      expect(found.filter((doc) => doc === undefined)).toEqual([]);
      expect(ids.filter((id) => !told.has(id))).toEqual([]);
      expect(await store.collection(items).count({})).toBe(ids.length);
      await store.close();
    }, 60_000);
  });
}

async function readAll(store: DocumentStore) {
  return store.events.read({ after: 0, limit: 100_000 });
}

/** Lets a child process write for a moment and kills it; collects what it was told is stored. */
async function killWriter(url: string, acknowledged: Set<string>): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'writing-child.ts'), url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    // The kill may cut the last line short.
    if (line.length === 32) acknowledged.add(line);
    if (!child.killed && Math.random() < 0.02) child.kill('SIGKILL');
  }
  await ended;
}
