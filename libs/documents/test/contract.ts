import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defineCollection, newId, openDocuments } from '../src/index.ts';
import { eventContract } from './contract-events.ts';
import { queryContract } from './contract-queries.ts';
import { dataArbitrary } from './data.ts';
import { event, item, items, notes, type Subject, withStore } from './subject.ts';

/** The suite that every adapter passes. */
export function documentsContract(subject: Subject): void {
  describe(`documents: ${subject.name}`, () => {
    documentContract(subject);
    queryContract(subject);
    eventContract(subject);
  });
}

function documentContract(subject: Subject): void {
  test('a document goes in, changes and goes away', () =>
    withStore(subject, async (store) => {
      const docs = store.collection(items);
      const before = Date.now();
      const inserted = await docs.insert('a', item('g', 1));
      expect(inserted).toMatchObject({ id: 'a', version: 1, doc: { group: 'g', count: 1 } });
      expect(inserted.createdAtMs).toBeGreaterThanOrEqual(before);
      const changed = await docs.change('a', (doc) => ({ doc: { ...doc, count: doc.count + 1 } }));
      expect(changed).toMatchObject({ version: 2, doc: { count: 2 }, createdAtMs: inserted.createdAtMs });
      expect(await docs.get('a')).toEqual(changed);
      expect(await docs.getMany(['b', 'a', 'a'])).toEqual([undefined, changed, changed]);
      expect(await docs.change('a', () => undefined)).toEqual(changed);
      await docs.remove('a');
      await docs.remove('a');
      expect(await docs.get('a')).toBeUndefined();
      expect(await docs.insert('a', item('g'))).toMatchObject({ version: 1 });
    }));

  test('what cannot be done is refused by its code', () =>
    withStore(subject, async (store) => {
      const docs = store.collection(items);
      await docs.insert('a', item('g'));
      await expect(docs.insert('a', item('g'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      await expect(docs.change('b', (doc) => ({ doc }))).rejects.toMatchObject({ code: 'NOT_FOUND' });
      const stale = { expect: 7 };
      await expect(docs.change('a', (doc) => ({ doc }), stale)).rejects.toMatchObject({
        code: 'VERSION_CONFLICT',
      });
      await expect(docs.remove('a', stale)).rejects.toMatchObject({ code: 'VERSION_CONFLICT' });
      const refusal = new Error('the domain says no');
      const refuse = docs.change('a', () => {
        throw refusal;
      });
      await expect(refuse).rejects.toBe(refusal);
      expect(await docs.get('a')).toMatchObject({ version: 1 });
      const huge = { ...item('g'), note: 'x'.repeat(15 * 1024 * 1024) };
      await expect(docs.insert('huge', huge)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    }));

  test('one refusal does not fail the writes beside it', () =>
    withStore(subject, async (store) => {
      const docs = store.collection(items);
      const writes = Array.from({ length: 50 }, (_, i) => docs.insert(`d${i % 40}`, item('g', i)));
      const outcomes = await Promise.allSettled(writes);
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(40);
      expect(await docs.count({ group: 'g' })).toBe(40);
    }));

  test('concurrent changes all count, by one store and by several', () =>
    withStore(subject, async (store, url) => {
      const other = await openDocuments({ url, collections: [items, notes] });
      await store.collection(items).insert('a', item('g'));
      const add = (from: typeof store) =>
        from.collection(items).change('a', (doc) => ({ doc: { ...doc, count: doc.count + 1 } }));
      await Promise.all(Array.from({ length: 60 }, (_, i) => add(i % 2 ? store : other)));
      expect(await other.collection(items).get('a')).toMatchObject({ version: 61, doc: { count: 60 } });
      await other.close();
    }));

  test('the writes of others are told from own ones, or nothing is told', () =>
    withStore(subject, async (store, url) => {
      const other = await openDocuments({ url, collections: [items, notes] });
      const before = await store.foreignWrites();
      await store.collection(items).insert('a', item('g'));
      await store.cursors.set('read', 1);
      expect(await store.foreignWrites()).toBe(before);
      await other.collection(items).get('a');
      expect(await store.foreignWrites()).toBe(before);
      await other.collection(items).change('a', (doc) => ({ doc: { ...doc, count: 1 } }));
      if (before !== undefined) expect(await store.foreignWrites()).not.toBe(before);
      await other.close();
    }));

  test('of writes that expect the same version one wins', () =>
    withStore(subject, async (store) => {
      const docs = store.collection(items);
      await docs.insert('a', item('g'));
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) =>
          docs.change('a', (doc) => ({ doc: { ...doc, count: i } }), { expect: 1 }),
        ),
      );
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1);
      expect(await docs.get('a')).toMatchObject({ version: 2 });
    }));

  test('the same cause or request changes a document once', () =>
    withStore(subject, async (store) => {
      const docs = store.collection(items);
      const first = await docs.insert('a', item('g', 1), { requestId: 'r', cause: 'e0', emit: [event()] });
      expect(await docs.insert('a', item('g', 9), { requestId: 'r', emit: [event()] })).toEqual(first);
      expect(await docs.insert('a', item('g', 9), { cause: 'e0' })).toEqual(first);
      const add = (cause: string) =>
        docs.upsert('a', (doc) => ({ doc: { ...doc!, count: doc!.count + 1 }, emit: [event()] }), { cause });
      await Promise.all([add('e1'), add('e1'), add('e2'), add('e1')]);
      expect(await docs.get('a')).toMatchObject({ version: 3, doc: { count: 3 } });
      // A cause that changed nothing is answered too.
      await docs.change('a', () => undefined, { cause: 'e3' });
      await docs.change('a', (doc) => ({ doc: { ...doc, count: 100 } }), { cause: 'e3' });
      expect(await docs.get('a')).toMatchObject({ version: 3, doc: { count: 3 } });
      expect(await store.events.read({ after: 0, limit: 10 })).toHaveLength(3);
    }));

  test('a document remembers its newest 256 causes', () =>
    withStore(subject, async (store) => {
      const docs = store.collection(items);
      await docs.insert('a', item('g'));
      const add = (cause: string) =>
        docs.change('a', (doc) => ({ doc: { ...doc, count: doc.count + 1 } }), { cause });
      for (let i = 0; i < 300; i++) await add(`e${i}`);
      for (const i of [299, 150, 45]) await add(`e${i}`);
      expect(await docs.get('a')).toMatchObject({ doc: { count: 300 } });
    }));

  test('all data comes back as it went in', () =>
    withStore(subject, async (store) => {
      const docs = store.collection(notes);
      await fc.assert(
        fc.asyncProperty(dataArbitrary, async (data) => {
          const id = newId();
          await docs.insert(id, { data });
          // Not toStrictEqual: it takes a member named `constructor` for the type.
          expect(isDeepStrictEqual((await docs.get(id))?.doc, { data })).toBe(true);
        }),
        { numRuns: 150 },
      );
      const dropped = { a: undefined, b: [{ c: undefined }] };
      await docs.insert('dropped', dropped);
      expect((await docs.get('dropped'))?.doc).toStrictEqual({ b: [{}] });
      for (const wrong of [new Date(), new Map(), () => 1, [undefined], Symbol('s'), new Float64Array(1)])
        await expect(docs.insert(newId(), { wrong })).rejects.toMatchObject({ code: 'INVALID_FIELD' });
    }));

  test('a closed store says so, and what it acknowledged is there after opening again', async () => {
    const url = await subject.freshUrl();
    const store = await openDocuments({ url, collections: [items] });
    const written = await store.collection(items).insert('a', item('g', 5));
    await store.check();
    await store.close();
    await store.close();
    await expect(store.collection(items).insert('b', item('g'))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await expect(store.collection(items).get('a')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const again = await openDocuments({ url, collections: [items] });
    expect(await again.collection(items).get('a')).toEqual(written);
    await again.close();
  });

  test('a field and an index that are declared later serve documents stored before', async () => {
    const url = await subject.freshUrl();
    const old = defineCollection({
      name: 'things',
      fields: { a: (d: { a: number; b: string }) => d.a },
      indexes: [['a']],
    });
    const first = await openDocuments({ url, collections: [old] });
    for (let i = 0; i < 30; i++)
      await first.collection(old).insert(`t${i}`, { a: i, b: i % 2 ? 'odd' : 'even' });
    await first.close();
    const grown = defineCollection({
      name: 'things',
      fields: { b: (d: { a: number; b: string }) => d.b },
      indexes: [['b']],
    });
    const second = await openDocuments({ url, collections: [grown] });
    expect(await second.collection(grown).count({ b: 'odd' })).toBe(15);
    expect(await second.collection(grown).get('t3')).toMatchObject({ version: 1, doc: { a: 3, b: 'odd' } });
    await second.close();
  });

  test('collections that were not named at opening, and bad names, are refused', () =>
    withStore(subject, async (store, url) => {
      const stranger = defineCollection({ name: 'stranger', fields: {}, indexes: [] });
      expect(() => store.collection(stranger)).toThrow(/not named when the store was opened/);
      for (const name of ['', 'a b', '1x', 'Items'])
        await expect(
          openDocuments({ url, collections: [items, defineCollection({ name, fields: {}, indexes: [] })] }),
        ).rejects.toMatchObject({ kind: 'internal' });
    }));
}
