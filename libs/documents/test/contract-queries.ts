import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Collection, newId, type Page, type Query } from '../src/index.ts';
import { type Item, item, items, type Subject, withStore } from './subject.ts';

type Field = 'group' | 'rank' | 'count';

/** Queries: order, pages, and what no index serves. */
export function queryContract(subject: Subject): void {
  describe('queries', () => {
    test('values are ordered null, false, true, numbers, strings', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        const ranks = [
          null,
          false,
          true,
          -Infinity,
          -2.5,
          -1,
          0,
          1e-9,
          3,
          20,
          Infinity,
          '',
          '10',
          '9',
          'B',
          'a',
          'é',
          '文',
        ];
        const shuffled = ranks
          .map((rank, i) => ({ rank, at: (i * 7) % ranks.length }))
          .sort((a, b) => a.at - b.at);
        for (const { rank } of shuffled) await docs.insert(newId(), item('g', 0, rank));
        const read = async (query: Query<Field>) =>
          (await docs.find(query)).items.map((found) => found.doc.rank);
        const up = { where: { group: 'g' }, orderBy: [{ field: 'rank' }] } as const;
        expect(await read(up)).toEqual(ranks);
        const down = { ...up, orderBy: [{ field: 'rank', direction: 'desc' }] } as const;
        expect(await read(down)).toEqual([...ranks].reverse());
        // A range holds values of its bounds' type only.
        expect(await read({ where: { group: 'g', rank: { lt: 3 } } })).toEqual(ranks.slice(3, 8));
        expect(await read({ where: { group: 'g', rank: { gte: 'B' } } })).toEqual(ranks.slice(14));
        expect(await read({ where: { group: 'g', rank: { gt: -1, lte: 20 } } })).toEqual([0, 1e-9, 3, 20]);
        expect(await read({ where: { group: 'g', rank: null } })).toEqual([null]);
        expect(await read({ where: { rank: { in: [true, 'a', 7] }, group: 'g' } })).toEqual([true, 'a']);
        expect(await read({ where: { group: 'g', rank: { in: [] } } })).toEqual([]);
        expect(await docs.count({ group: 'g', rank: { gt: 0 } })).toBe(4);
      }));

    test('pages hold everything once, in order, whatever is asked', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        const rank = fc.constantFrom(null, true, -1, 0, 2, 'a', 'b');
        const row = fc.record({
          group: fc.constantFrom('g', 'h'),
          count: fc.integer({ min: 0, max: 3 }),
          rank,
        });
        let n = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.array(row, { maxLength: 25 }),
            fc.constantFrom('asc' as const, 'desc' as const),
            fc.constantFrom<Field | 'id'>('rank', 'count', 'id'),
            fc.integer({ min: 1, max: 7 }),
            async (rows, direction, field, limit) => {
              // Each run has groups of its own in one store.
              const tag = `${n++}`;
              await Promise.all(rows.map((r) => docs.insert(newId(), { ...r, group: r.group + tag })));
              const query: Query<Field> = { where: { group: `g${tag}` }, orderBy: [{ field, direction }] };
              const whole = (await docs.find(query)).items;
              expect(whole).toHaveLength(rows.filter((r) => r.group === 'g').length);
              expect(await readPages(docs, { ...query, limit })).toEqual(whole);
            },
          ),
          { numRuns: 40 },
        );
      }));

    test('a page neither repeats nor skips when documents come in between', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        let n = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 20 }),
            fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 20 }),
            async (before, during) => {
              const group = `p${n++}`;
              const old = await Promise.all(before.map((count) => docs.insert(newId(), item(group, count))));
              const late = [...during];
              const seen = await readPages(
                docs,
                { where: { group }, orderBy: [{ field: 'count' }], limit: 3 },
                async () => {
                  const count = late.pop();
                  if (count !== undefined) await docs.insert(newId(), item(group, count));
                },
              );
              const ids = seen.map((found) => found.id);
              expect(new Set(ids).size).toBe(ids.length);
              expect(ids).toEqual(expect.arrayContaining(old.map((found) => found.id)));
              const counts = seen.map((found) => found.doc.count);
              expect(counts).toEqual([...counts].sort((a, b) => a - b));
            },
          ),
          { numRuns: 20 },
        );
      }));

    test('removed documents leave every query', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        for (const id of ['a', 'b', 'c']) await docs.insert(id, item('g', 1));
        await docs.remove('b');
        expect((await docs.find({})).items.map((found) => found.id)).toEqual(['a', 'c']);
        expect((await docs.find({ where: { group: 'g' } })).items.map((found) => found.id)).toEqual([
          'a',
          'c',
        ]);
        expect(await docs.count({})).toBe(2);
      }));

    test('a query without an index is refused', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        const queries: Query<Field>[] = [
          { where: { rank: 1 } },
          { where: { group: { gt: 'a' }, count: { gt: 1 } } },
          { where: { group: 'g' }, orderBy: [{ field: 'rank' }, { field: 'count' }] },
          { where: { group: 'g', count: { gt: 1 } }, orderBy: [{ field: 'rank' }] },
          { orderBy: [{ field: 'count' }, { field: 'id', direction: 'desc' }] },
          { orderBy: [{ field: 'rank' }] },
          { where: { other: 1 } as never },
        ];
        for (const query of queries)
          await expect(docs.find(query)).rejects.toMatchObject({ code: 'QUERY_NOT_INDEXED' });
        await expect(docs.count({ rank: { gt: 1 } })).rejects.toMatchObject({ code: 'QUERY_NOT_INDEXED' });
      }));

    test('a page token is good for its query only', () =>
      withStore(subject, async (store) => {
        const docs = store.collection(items);
        for (let i = 0; i < 5; i++) await docs.insert(`d${i}`, item('g', i));
        const query: Query<Field> = { where: { group: 'g' }, orderBy: [{ field: 'count' }], limit: 2 };
        const { next } = await docs.find(query);
        expect(next).toMatch(/^[\w-]+$/);
        const refused = { code: 'INVALID_FIELD', violations: [{ field: 'page_token' }] };
        for (const after of [`${next}x`, next!.slice(1), next!.slice(0, -4), 'AAAA', 'ÿ', `${next}=`])
          await expect(docs.find({ ...query, after })).rejects.toMatchObject(refused);
        await expect(docs.find({ ...query, where: { group: 'h' }, after: next! })).rejects.toMatchObject(
          refused,
        );
        await expect(docs.find({ after: next! })).rejects.toMatchObject(refused);
        expect((await docs.find({ ...query, limit: 3, after: next! })).items).toHaveLength(3);
        for (const limit of [0, -1, 1.5, NaN, 10_001])
          await expect(docs.find({ limit })).rejects.toMatchObject({ violations: [{ field: 'page_size' }] });
      }));
  });
}

/** Follows the pages of a query to the end. */
async function readPages(docs: Collection<Item, Field>, query: Query<Field>, between = async () => {}) {
  const all: Page<Item>['items'][number][] = [];
  for (let after: string | undefined; ; ) {
    const page: Page<Item> = await docs.find(after ? { ...query, after } : query);
    expect(page.items.length).toBeLessThanOrEqual(query.limit ?? 100);
    all.push(...page.items);
    if (!page.next) return all;
    after = page.next;
    await between();
  }
}
