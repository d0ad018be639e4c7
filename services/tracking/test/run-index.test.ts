import { join } from 'node:path';
import { type DocumentStore, newId, openDocuments } from '@millrace/documents';
import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileFilter } from '../src/domain/filter/evaluate.ts';
import { comparePlaces, parseOrder, placeOf } from '../src/domain/filter/order.ts';
import { parseFilter } from '../src/domain/filter/parser.ts';
import { createRun, updateRun } from '../src/domain/run.ts';
import { collections } from '../src/store/collections.ts';
import { createRunIndex } from '../src/store/run-index.ts';
import { createRuns } from '../src/store/runs.ts';
import { type RunSearch, rowOf, searchRuns } from '../src/store/search.ts';

const folder = tempDir();
const url = `sqlite:${join(folder.path, 'd.db')}`;
let both: DocumentStore[];
beforeAll(async () => {
  both = [await openDocuments({ url, collections }), await openDocuments({ url, collections })];
});
afterAll(async () => {
  for (const documents of both) await documents.close();
  await folder.remove();
});

/** A process's view of a store, with an index of so many bytes. */
function openProcess(documents: DocumentStore, maxBytes: number | undefined) {
  const index = createRunIndex(documents, maxBytes);
  return {
    index,
    runs: createRuns(documents, index, () => 1000),
    search: (search: RunSearch) => searchRuns(documents, index, search),
  };
}
type Process = ReturnType<typeof openProcess>;

const step = fc.record({
  kind: fc.constantFrom('insert', 'insert', 'note', 'tag', 'delete', 'restore', 'search'),
  by: fc.nat(1),
  which: fc.nat(20),
  value: fc.constantFrom(0, 1, 2, Number.NaN),
});
const filters = fc.constantFrom(
  '',
  'metrics.m >= 1',
  "tags.t != '1'",
  "status = 'RUNNING' AND metrics.m < 2",
);
const orders = fc.constantFrom('metrics.m', 'metrics.m DESC', 'tags.t, metrics.m DESC', 'update_time');
const views = fc.constantFrom('ACTIVE' as const, 'DELETED' as const, 'ALL' as const);

async function write(own: Process, project: string, ids: string[], { kind, which, value }: StepOf) {
  const id = ids[which % Math.max(1, ids.length)];
  if (kind === 'insert') {
    ids.push(newId());
    const wanted = { project, id: ids.at(-1)!, experiment: which % 2, displayName: `r${which}` };
    await own.runs.insert(
      createRun({ ...wanted, status: 'RUNNING', startTimeMs: 1, tags: [{ key: 't', value: '0' }] }, 1),
      {},
    );
  } else if (!id) return;
  else if (kind === 'note')
    await own.runs.noteLatest(project, id, [{ key: 'm', value, step: BigInt(which), timestampMs: which }]);
  else if (kind === 'delete') await own.runs.delete(project, id, {});
  else if (kind === 'restore') await own.runs.restore(project, id, {});
  else if ((await own.runs.get(project, id)).doc.deletedAtMs === null)
    await own.runs.change(
      project,
      id,
      (run) => updateRun(run, { tags: [{ key: 't', value: String(value) }] }, 1),
      {},
    );
}
type StepOf = { kind: string; which: number; value: number };

/** What the search should find, by looking at everything in the store. */
async function expected(own: Process, search: RunSearch): Promise<string[]> {
  const view = { ...search, view: 'ALL' as const, order: [], experiments: [], matches: () => true };
  const { runs } = await own.search({ ...view, limit: 1000 });
  return runs
    .filter(({ doc }) => search.view === 'ALL' || (doc.deletedAtMs === null) === (search.view === 'ACTIVE'))
    .filter(({ doc }) => search.experiments.length === 0 || search.experiments.includes(doc.experiment))
    .filter((found) => search.matches(rowOf(found)))
    .map((found) => placeOf(rowOf(found), found.doc.id, search.order))
    .sort((a, b) => comparePlaces(a, b, search.order))
    .map(({ id }) => id);
}

test('the index shows what was acknowledged, whoever wrote it, and however little room it has', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.constantFrom(undefined, 2000, 0),
      fc.record({ filter: filters, order: orders, view: views, experiments: fc.subarray([0, 1]) }),
      async (steps, maxBytes, { filter, order, view, experiments }) => {
        const project = `p${newId()}`;
        const processes = both.map((documents) => openProcess(documents, maxBytes));
        const ids: string[] = [];
        const search = {
          project,
          experiments,
          view,
          matches: compileFilter(parseFilter(filter)),
          order: parseOrder(order),
          limit: 100,
        };
        for (const one of [...steps, { kind: 'search', by: 0, which: 0, value: 0 }]) {
          const own = processes[one.by]!;
          if (one.kind !== 'search') await write(own, project, ids, one);
          else {
            const found = await own.search(search);
            expect(found.runs.map(({ doc }) => doc.id)).toEqual(await expected(own, search));
          }
        }
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test('writes beside the first search are in the index', async () => {
  const own = openProcess(both[0]!, undefined);
  const project = `p${newId()}`;
  const ids: string[] = [];
  const write1 = (kind: string, which: number, value: number) =>
    write(own, project, ids, { kind, which, value });
  for (let n = 0; n < 500; n++) await write1('insert', n, 0);
  const reading = own.index.runsOf(project);
  await Promise.all(ids.map((_, n) => write1('note', n, n % 3)));
  await reading;
  for (const [n, id] of ids.entries())
    expect((await own.index.runsOf(project))?.get(id)?.metric('m')).toBe(n % 3);
});

test('projects that do not fit together take turns, and one that never fits is read from the store', async () => {
  const own = openProcess(both[0]!, 6000);
  const [small, other, large] = [`a${newId()}`, `b${newId()}`, `c${newId()}`];
  for (const [project, count] of [
    [small, 8],
    [other, 8],
    [large, 30],
  ] as const)
    for (let n = 0; n < count; n++) await write(own, project, [], { kind: 'insert', which: n, value: 0 });
  expect((await own.index.runsOf(small))?.size).toBe(8);
  expect((await own.index.runsOf(other))?.size).toBe(8);
  expect((await own.index.runsOf(small))?.size).toBe(8);
  expect(await own.index.runsOf(large)).toBeUndefined();
  expect((await own.index.runsOf(other))?.size).toBe(8);
});
