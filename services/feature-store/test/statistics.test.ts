import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withEngine } from '../src/duckdb/engine.ts';
import { loadTables } from '../src/duckdb/load.ts';
import { statisticsOf } from '../src/duckdb/statistics.ts';
import { engineIn } from './harness.ts';

it('the bins of a histogram hold every finite value, each its lower bound and the last its upper one', async () => {
  await using dir = tempDir();
  const options = engineIn(dir.path);
  const value = fc.oneof(
    fc.integer({ min: -3, max: 3 }),
    fc.double(),
    fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY, 0, 5e-324, 1.7976931348623157e308),
  );
  const property = fc.asyncProperty(fc.array(value, { maxLength: 200 }), async (values) => {
    const found = await withEngine(options, [], async (engine) => {
      const column = { name: 'v', type: 'double' as const };
      await loadTables(
        engine,
        'given',
        [column],
        [{ rowCount: values.length, columns: [{ ...column, cells: values }] }],
      );
      return statisticsOf(engine, 'given', column);
    });
    const finite = values.filter((v) => v !== null && Number.isFinite(v)) as number[];
    expect(found.count + found.nullCount).toBe(values.length);
    expect(found.histogram.reduce((sum, bin) => sum + bin.count, 0)).toBe(finite.length);
    found.histogram.forEach(({ lower, upper, count }, i) => {
      const last = i === found.histogram.length - 1;
      expect(count).toBe(finite.filter((v) => v >= lower && (v < upper || (last && v === upper))).length);
    });
    if (finite.length === 0) return;
    expect([found.min, found.max]).toEqual([Math.min(...finite), Math.max(...finite)]);
    expect(found.quantiles).toHaveLength(21);
  });
  await fc.assert(property, { numRuns: 25 });
}, 60_000);
