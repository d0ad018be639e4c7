import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregateFunctions } from '../src/domain/aggregate.ts';
import { type FeatureView, viewPlan } from '../src/domain/definition.ts';
import { evaluateWindows } from '../src/domain/evaluate.ts';
import { addEntries, emptyHistory, entryAt } from '../src/domain/history.ts';
import { addRows, ageLayer, emptyLayer, newestOf } from '../src/domain/layer.ts';
import type { Cell, ViewPlan } from '../src/domain/plan.ts';
import type { Table } from '../src/domain/table.ts';
import { dayUs, hourUs, minuteUs } from '../src/domain/time.ts';
import { withEngine } from '../src/duckdb/engine.ts';
import { loadTables } from '../src/duckdb/load.ts';
import { joinView } from '../src/duckdb/point-in-time.ts';
import { viewRows } from '../src/duckdb/relation.ts';
import { engineIn } from './harness.ts';
import { naive, type Row } from './reference.ts';

const windows = [5 * minuteUs, hourUs, 3 * hourUs, 12 * hourUs, 24 * hourUs, 12 * dayUs];
const view: FeatureView = {
  project: 'p',
  view: 'v',
  uid: 'u',
  entities: [],
  source: '',
  sql: '',
  timestampColumn: 'seen',
  createdColumn: 'made',
  ttlUs: 2 * hourUs,
  features: [{ name: 'newest', column: 'p', description: '', type: 'string' }],
  aggregations: windows.flatMap((windowUs, i) =>
    [...aggregateFunctions, 'rows' as const].map((fn) => ({
      name: `${fn}_${i}`,
      fn: fn === 'rows' ? ('count' as const) : fn,
      column: fn === 'rows' ? '' : 'x',
      windowUs,
      places: 3,
      description: '',
    })),
  ),
  description: '',
  tags: [],
  columns: [
    { name: 'k', type: 'string' },
    { name: 'seen', type: 'timestamp' },
    { name: 'made', type: 'timestamp' },
    { name: 'x', type: 'double' },
    { name: 'p', type: 'string' },
  ],
  version: 1,
  joinKeys: [{ name: 'k', type: 'string' }],
  materializedUs: null,
};
const plan = viewPlan(view);
const base = Date.UTC(2001, 5, 14) * 1000;

// Times cluster at tile edges, at each other and on both sides of 1970; values hold ties, nulls and what windows leave out.
const time = fc.oneof(
  fc.integer({ min: -30 * 24 * 12, max: 30 * 24 * 12 }).map((tile) => base + tile * 5 * minuteUs),
  fc.integer({ min: 0, max: 40 * hourUs }).map((us) => base + us),
  fc.integer({ min: 0, max: 200 }).map((s) => base + s * 60_000_001),
  fc.integer({ min: -hourUs, max: hourUs }),
);
const value = fc.oneof(
  fc.constant(null),
  fc.integer({ min: -5, max: 5 }),
  fc.double({ min: -1e9, max: 1e9 }),
  fc.constantFrom(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e300,
    -0,
    0.0005,
    -0.0005,
    2 ** 46 / 1000,
    7e10,
    -7e10,
  ),
);
const row = fc.record({
  key: fc.constantFrom('a', 'b', 'ü"\''),
  t: time,
  created: fc.oneof(fc.constant(null), fc.integer({ min: -1, max: 3 })),
  x: value,
  p: fc.constantFrom(null, 'one', 'two', '\u{1f600}', '\uffee'),
});

const workDir = join(tmpdir(), 'millrace-same-values');
mkdirSync(workDir, { recursive: true });
const engineOptions = engineIn(workDir);

async function offline(rows: readonly Row[], asked: readonly { key: string | null; at: number }[]) {
  return withEngine(engineOptions, [], async (engine) => {
    const cells = (of: (row: Row) => Cell) => rows.map(of);
    const us = (n: number | null) => (n === null ? null : BigInt(n));
    const load = (name: string, table: Table) => loadTables(engine, name, table.columns, [table]);
    await load('given', {
      rowCount: rows.length,
      columns: [
        { name: 'k', type: 'string', cells: cells((r) => r.key) },
        { name: 'seen', type: 'timestamp', cells: cells((r) => us(r.t)) },
        { name: 'made', type: 'timestamp', cells: cells((r) => us(r.created)) },
        { name: 'x', type: 'double', cells: cells((r) => r.x) },
        { name: 'p', type: 'string', cells: cells((r) => r.p) },
      ],
    });
    await load('asked', {
      rowCount: asked.length,
      columns: [
        { name: 'mr_rid', type: 'int64', cells: asked.map((_, i) => BigInt(i)) },
        { name: 'k', type: 'string', cells: asked.map((a) => a.key) },
        { name: 'mr_t', type: 'int64', cells: asked.map((a) => BigInt(a.at)) },
      ],
    });
    await engine.run('CREATE TEMP TABLE entity_rows AS SELECT * FROM asked');
    const wanted = new Set([...plan.windows.map((w) => w.name), 'newest']);
    await joinView(
      engine,
      { view, plan, wanted, rows: viewRows(view, plan, 'SELECT * FROM given') },
      'joined',
    );
    const names = ['newest', ...plan.windows.map((w) => w.name)].map((n) => `"${n}"`).join(', ');
    const columns = await engine.columns(`SELECT ${names} FROM joined ORDER BY rid`);
    return asked.map((_, i) => columns.map((column) => column[i] as Cell));
  });
}

/** How many rows come at once, and when they become tiles. */
interface Kept {
  readonly pieces: number;
  readonly horizonUs: number;
  readonly few: number;
}

/** The online path with its rows in two layers, added in pieces in the order given. */
function online(rows: readonly Row[], { pieces, horizonUs, few }: Kept, key: string, at: number) {
  const mine = rows.filter((r) => r.key === key);
  const layers = [emptyLayer, emptyLayer];
  const histories = [emptyHistory, emptyHistory];
  for (let i = 0; i < mine.length; i += pieces) {
    const piece = mine.slice(i, i + pieces);
    const side = (i / pieces) % 2;
    const raw = new Float64Array(piece.flatMap((r) => [r.t, r.x ?? Number.NaN]));
    layers[side] = addRows(layers[side]!, raw, plan, horizonUs, few);
    const newestUs = newestOf(layers[side].raw, plan);
    layers[1 - side] = ageLayer(layers[1 - side]!, plan, newestUs, horizonUs, few);
    const entries = piece.map((r) => ({ timeUs: r.t, createdUs: r.created, cells: [r.p] }));
    histories[side] = addEntries(histories[side]!, entries, horizonUs);
  }
  return { windows: windowCells(layers, plan, at), newest: entryAt(histories, at), layers };
}

function windowCells(
  layers: Parameters<typeof evaluateWindows>[0],
  of: ViewPlan,
  at: number,
): Cell[] | undefined {
  const found = evaluateWindows(layers, of, at);
  return found?.values.map((v, i) => (of.windows[i]!.fn === 'count' ? BigInt(v!) : v));
}

describe('the same value for the same key and time', () => {
  it('offline, online and by going through all rows', async () => {
    const asked = fc.record({ key: fc.constantFrom('a', 'b', 'ü"\''), at: time });
    const property = fc.asyncProperty(
      fc.array(row, { maxLength: 120 }),
      fc.array(asked, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(hourUs, 6 * hourUs, 90 * dayUs, 40 * 366 * dayUs),
      fc.constantFrom(0, 3, 30),
      async (rows, questions, pieces, horizonUs, few) => {
        const joined = await offline(rows, questions);
        for (const [i, { key, at }] of questions.entries()) {
          const expected = naive(rows, view, plan, key, at);
          expect(joined[i]).toEqual(expected);
          const answer = online(rows, { pieces, horizonUs, few }, key, at);
          if (answer.windows) expect(answer.windows).toEqual(expected.slice(1));
          if (answer.newest !== 'lost') {
            const fresh = answer.newest && answer.newest.timeUs >= at - view.ttlUs;
            expect(fresh ? answer.newest!.cells[0] : null).toBe(expected[0]);
          }
          // Within the horizon of the newest row the answer is always there.
          const last = Math.max(...rows.filter((r) => r.key === key).map((r) => r.t));
          if (at >= last - horizonUs) expect(answer.windows).toBeDefined();
        }
      },
    );
    await fc.assert(property, { numRuns: 60, endOnFailure: true });
  }, 120_000);

  it('a row of the future changes nothing, and a row at the very moment counts', async () => {
    const now = base;
    const rows: Row[] = [{ key: 'a', t: now, created: null, x: 1, p: 'now' }];
    const future: Row[] = [{ key: 'a', t: now + 1, created: null, x: 100, p: 'later' }];
    const question = [{ key: 'a', at: now }];
    const kept = { pieces: 10, horizonUs: dayUs, few: 0 };
    expect(await offline([...rows, ...future], question)).toEqual(await offline(rows, question));
    expect(online([...rows, ...future], kept, 'a', now).windows).toEqual(
      online(rows, kept, 'a', now).windows,
    );
  });

  it('the age limit is inclusive, and a row too old stays as a null', async () => {
    const rows: Row[] = [{ key: 'a', t: base, created: null, x: 1, p: 'old' }];
    const at = [base + view.ttlUs, base + view.ttlUs + 1].map((t) => ({ key: 'a', at: t }));
    expect((await offline(rows, at)).map((cells) => cells[0])).toEqual(['old', null]);
  });

  it('an entity row with a null in its key is kept, with empty windows', async () => {
    const cells = await offline([], [{ key: null, at: base }]);
    expect(cells[0]!.slice(0, 2)).toEqual([null, 0n]);
  });
});
