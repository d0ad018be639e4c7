import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SourceFormat } from '../src/domain/definition.ts';
import { describeSource } from '../src/duckdb/describe.ts';
import { withEngine } from '../src/duckdb/engine.ts';
import { readSource } from '../src/duckdb/relation.ts';
import { engineIn } from './harness.ts';

/** Files that are not what they seem. */
const dir = tempDir();
const options = engineIn(dir.path);
const good: Record<SourceFormat, Buffer> = {
  csv: Buffer.from('machine,seen,reading\nm1,2001-06-01 00:00:00,1.5\n"m,2",2001-06-02 00:00:00,\n'),
  json_lines: Buffer.from('{"machine":"m1","reading":1.5,"tags":["a"]}\n{"machine":"m2","reading":null}\n'),
  parquet: Buffer.alloc(0),
};
let bomb = '';

beforeAll(async () => {
  const write = (name: string, sql: string) =>
    withEngine(options, [], async (engine) => {
      const path = join(engine.folder, name);
      await engine.run(`COPY (${sql}) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`);
      return readFileSync(path);
    });
  good.parquet = await write('small.parquet', 'SELECT i AS a, i::VARCHAR AS s, [i] AS l FROM range(50) r(i)');
  bomb = join(dir.path, 'bomb.parquet');
  writeFileSync(bomb, await write('bomb.parquet', "SELECT repeat('x', 20000) AS a FROM range(8000)"));
});
afterAll(async () => {
  await options.processes.close();
  await dir.remove();
});

const suffixes: Record<SourceFormat, string> = { csv: '.csv', json_lines: '.jsonl', parquet: '.parquet' };

/** Its columns, or how it is refused. */
function inspect(format: SourceFormat, bytes: Uint8Array | string) {
  const file = join(dir.path, `given${suffixes[format]}`);
  writeFileSync(file, bytes);
  const source = { name: 'given', file, format, csvDelimiter: ',', columns: [] };
  return describeSource(options, source).catch((error: unknown) => error);
}

const refused = { kind: 'invalid_argument', violations: [{ field: 'source' }] };

it.each<[string, SourceFormat, () => Uint8Array | string]>([
  [
    'JSON with brackets 200,000 deep, which ends the process that reads it',
    'json_lines',
    () => `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}\n`,
  ],
  [
    'JSON with objects 100,000 deep',
    'json_lines',
    () => `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}\n`,
  ],
  [
    'JSON with 5,000 keys',
    'json_lines',
    () => `{${Array.from({ length: 5_000 }, (_, i) => `"c${i}":1`).join()}}\n`,
  ],
  ['CSV with 10,000 columns', 'csv', () => `${'c,'.repeat(10_000)}\n`],
  ['CSV with a line of 4 MB', 'csv', () => `a,b\n"${'x'.repeat(4_000_000)}",1\n`],
  ['CSV with a quote that never ends', 'csv', () => `a,b\n"${'\n'.repeat(1_000_000)}`],
  ['gzip that is called CSV', 'csv', () => gzipSync('a,b\n1,2\n')],
  ['UTF-16 that is called CSV', 'csv', () => Buffer.from('\ufeffa,b\n1,2\n', 'utf16le')],
  ['Parquet whose footer says that it has no bytes', 'parquet', () => footer(0)],
  ['Parquet whose footer says that it has 4 GiB', 'parquet', () => footer(0xffffffff)],
  ['Parquet with the end of another', 'parquet', () => footer(good.parquet.length * 2)],
])('%s is refused', async (_, format, bytes) => {
  expect(await inspect(format, bytes())).toMatchObject(refused);
});

function footer(length: number): Buffer {
  const copy = Buffer.from(good.parquet);
  copy.writeUInt32LE(length, copy.length - 8);
  return copy;
}

it('files with spoilt bytes are read or refused, never more', async () => {
  const format = fc.constantFrom<SourceFormat>('csv', 'json_lines', 'parquet', 'parquet');
  const writes = fc.array(
    fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.nat(255)),
    { minLength: 1, maxLength: 6 },
  );
  const cut = fc.double({ min: 0.5, max: 1, noNaN: true });
  await fc.assert(
    fc.asyncProperty(format, writes, fc.option(cut, { freq: 3 }), async (of, changes, end) => {
      const bytes = Buffer.from(good[of]);
      // The first and last four bytes of Parquet are looked at before.
      for (const [at, byte] of changes) bytes[4 + Math.floor(at * (bytes.length - 8))] = byte;
      const found = await inspect(
        of,
        end === null ? bytes : bytes.subarray(0, Math.ceil(bytes.length * end)),
      );
      if (!Array.isArray(found)) expect(found).toMatchObject(refused);
    }),
    { numRuns: Number(process.env.FUZZ_RUNS ?? 40) },
  );
});

it('a small file of much data is held to the memory of a job', async () => {
  const source = { name: 'bomb', file: bomb, format: 'parquet' as const, csvDelimiter: '', columns: [] };
  expect(readFileSync(bomb).length).toBeLessThan(4 * 2 ** 20);
  expect(await describeSource(options, source)).toEqual([{ name: 'a', type: 'string' }]);
  const before = process.memoryUsage().rss;
  const small = { ...options, memoryMb: 128, diskMb: 128 };
  const all = withEngine(small, [source], (engine) =>
    engine.run(`CREATE TEMP TABLE t AS SELECT a, a || a AS b FROM (${readSource(source)})`),
  );
  await expect(all).rejects.toThrow(/Out of Memory/);
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
});
