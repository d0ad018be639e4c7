import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { describeRows } from '../src/duckdb/describe.ts';
import { type EngineOptions, withEngine } from '../src/duckdb/engine.ts';
import { checkSelect } from '../src/duckdb/guard.ts';
import { transformed } from '../src/duckdb/relation.ts';
import { engineIn } from './harness.ts';

/** SQL that its author means badly. */
const dir = tempDir();
const options: EngineOptions = { ...engineIn(dir.path), memoryMb: 128 };
const file = join(dir.path, 'log.csv');
writeFileSync(file, 'a,b\n1,2\n3,4\n');
const type = 'int64' as const;
const columns = ['a', 'b'].map((name) => ({ name, type }));
const source = {
  name: 'projects/default/sources/log',
  file,
  format: 'csv' as const,
  csvDelimiter: ',',
  columns,
};
afterAll(async () => {
  await options.processes.close();
  await dir.remove();
});

/** Runs it as a job would. */
const run = (sql: string, signal?: AbortSignal) =>
  withEngine(
    options,
    [source],
    async (engine) => {
      const checked = await checkSelect(engine, sql, 'sql');
      await engine.run(`CREATE TEMP TABLE t AS SELECT * FROM (${transformed(source, checked)})`);
      return (await engine.columns('SELECT count(*) FROM t'))[0]?.[0];
    },
    signal,
  );

/** What comes after it runs as if nothing had been. */
const others = async () => expect(await run('select a from source')).toBe(2n);

describe('queries without end are ended', () => {
  it.each([
    [
      'a recursion that never stops',
      'with recursive t as (select 1 as n union all select n + 1 from t) select n from t',
    ],
    [
      'a cross join of everything',
      'select count(*) as n from range(1000000) a, range(1000000) b, range(1000000) c',
    ],
    [
      'one call that takes a day',
      "select levenshtein(repeat('a', 1000000), repeat('b', 1000000)) as n from source",
    ],
  ])('%s', async (_, sql) => {
    const begun = performance.now();
    await expect(run(sql, AbortSignal.timeout(400))).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(15_000);
    await others();
  });
});

describe('queries that take all memory take only their own', () => {
  it.each([
    [
      'lists of lists',
      'select list_transform(range(1000000), x -> list_transform(range(1000000), y -> x + y)) as n from source',
    ],
    ['one long list', 'select list_sum(range(a * 1000000000)) as n from source'],
    [
      'texts that double',
      "with recursive t as (select repeat('x', 100000) as n union all select n || n from t) select n from t",
    ],
  ])('%s', async (_, sql) => {
    const before = process.memoryUsage().rss;
    await expect(run(sql)).rejects.toThrow(/Out of Memory/);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
    await others();
  });
});

describe('what is nested is refused before the binder, whose time doubles with each level', () => {
  const nest = (open: string, close: string, levels: number) =>
    `select ${open.repeat(levels)}1${close.repeat(levels)} as n from source`;
  it.each([
    ['lambdas', nest('list_transform([1], x -> ', ')', 200)],
    ['calls', nest('abs(', ')', 900)],
    ['sums', nest('', ' + 1', 900)],
    ['cases', nest('case when true then ', ' end', 900)],
    ['lists', nest('[', ']', 5000)],
    ['negations', nest('not ', '', 4000)],
    ['subqueries', `${'select * from ('.repeat(1000)}select * from source${')'.repeat(1000)}`],
    ['scalar subqueries', nest('(select ', ')', 1000)],
    ['structs', nest("{'a': ", '}', 2000)],
    ['a number that no double holds', 'select 1e400 as n from source'],
  ])('%s', async (_, sql) => {
    const refused = describeRows(options, source, sql, 'sql');
    await expect(refused).rejects.toMatchObject({ kind: 'invalid_argument', violations: [{ field: 'sql' }] });
  });
});

it('is understood or refused as invalid, whatever words it is made of', async () => {
  const words = `select from source where a b ( ) , * + - || 1 1e400 'x' '' "a" null :: int varchar [ ] { } -> case when then end
    with recursive t as union all values group by order limit having qualify over partition distinct not in is between like
    unnest range repeat read_csv glob getenv current_date now random list_transform struct_pack columns exclude replace join
    cross asof lateral pivot unpivot describe summarize show table copy attach install load pragma set call explain export
    '/etc/passwd' '*' '../x' ? $1 #1 ; -- /* */ interval timestamp date json map array exists any try_cast sample using`;
  const word = fc.constantFrom(...words.split(/\s+/));
  const sql = fc.oneof(
    fc.array(word, { minLength: 1, maxLength: 25 }).map((all) => all.join(' ')),
    fc.array(word, { minLength: 1, maxLength: 8 }).map((all) => `select ${all.join(' ')} from source`),
    fc.string({ unit: 'grapheme', maxLength: 60 }),
  );
  await fc.assert(
    fc.asyncProperty(sql, async (text) => {
      const found = await describeRows(options, source, text, 'sql').catch((error: unknown) => error);
      if (!Array.isArray(found)) expect(found, text).toMatchObject({ kind: 'invalid_argument' });
      expect(JSON.stringify(found)).not.toMatch(/root:|\/tmp\//);
    }),
    { numRuns: Number(process.env.FUZZ_RUNS ?? 40) },
  );
});
