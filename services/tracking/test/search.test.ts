import { join } from 'node:path';
import { type DocumentStore, newId, openDocuments } from '@millrace/documents';
import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileFilter } from '../src/domain/filter/evaluate.ts';
import { comparePlaces, type Place, parseOrder, placeOf } from '../src/domain/filter/order.ts';
import { parseFilter } from '../src/domain/filter/parser.ts';
import { createRun, noteLatest, type Run } from '../src/domain/run.ts';
import { collections } from '../src/store/collections.ts';
import { openTrackingStore } from '../src/store/open.ts';
import { rowOf } from '../src/store/search.ts';

const folder = tempDir();
let documents: DocumentStore;
beforeAll(async () => {
  documents = await openDocuments({ url: `sqlite:${join(folder.path, 'd.db')}`, collections });
});
afterAll(async () => {
  await documents.close();
  await folder.remove();
});

const values = fc.option(fc.constantFrom(0, 1, 2, -1, Number.NaN, Infinity, -Infinity), { nil: undefined });
const kinds = fc.array(
  fc.record({
    m: values,
    tag: fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined }),
    experiment: fc.nat(2),
  }),
  { maxLength: 25 },
);
const orders = fc.constantFrom(
  '',
  'metrics.m',
  'metrics.m DESC',
  'tags.t, metrics.m DESC',
  'tags.t DESC',
  'experiment, tags.t',
);
const filters = fc.constantFrom(
  '',
  'metrics.m >= 0',
  "tags.t != 'b'",
  "NOT (tags.t = 'a' OR metrics.m = nan)",
);

test('pages put together are what filtering and sorting everything gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      kinds,
      orders,
      filters,
      fc.integer({ min: 1, max: 7 }),
      fc.subarray([0, 1, 2]),
      async (list, orderBy, filter, limit, experiments) => {
        const project = `p${newId()}`;
        const { runs, search } = openTrackingStore(documents, () => 1000);
        for (const { m, tag, experiment } of list) {
          const tags = tag === undefined ? [] : [{ key: 't', value: tag }];
          const run = createRun(
            { project, id: newId(), experiment, displayName: 'x', status: 'RUNNING', startTimeMs: 1, tags },
            1,
          );
          const points = m === undefined ? [] : [{ key: 'm', value: m, step: 0n, timestampMs: 0 }];
          await runs.insert((noteLatest(run, points) ?? run) as Run, {});
        }
        const order = parseOrder(orderBy);
        const matches = compileFilter(parseFilter(filter));
        const query = { project, view: 'ACTIVE' as const, matches, order };

        const everything = await search({
          ...query,
          experiments: [],
          matches: () => true,
          order: [],
          limit: 1000,
        });
        expect(everything.runs).toHaveLength(list.length);
        const expected = everything.runs
          .filter(({ doc }) => experiments.length === 0 || experiments.includes(doc.experiment))
          .map((found) => ({
            place: placeOf(rowOf(found), found.doc.id, order),
            fits: matches(rowOf(found)),
          }))
          .filter(({ fits }) => fits)
          .sort((a, b) => comparePlaces(a.place, b.place, order))
          .map(({ place }) => place.id);

        const found: string[] = [];
        let after: Place | undefined;
        do {
          const page = await search({ ...query, experiments, limit, after });
          expect(page.runs.length).toBeLessThanOrEqual(limit);
          found.push(...page.runs.map(({ doc }) => doc.id));
          after = page.next;
        } while (after);
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
