import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { summarize } from '../src/domain/batch-summary.ts';
import { fromColumns, toColumns } from '../src/domain/columns.ts';
import { downsample } from '../src/domain/downsample.ts';
import { comparePoints, mergeLatest, type Point } from '../src/domain/metric.ts';
import { createSeries } from '../src/domain/series.ts';

const values = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0));
const point: fc.Arbitrary<Point> = fc.record({
  key: fc.constantFrom('loss', 'auc', '__proto__'),
  value: values,
  step: fc.oneof(fc.bigInt(-2n, 2n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
  timestampMs: fc.integer({ min: 0, max: 253_402_300_799_999 }),
});
const points = fc.array(point, { maxLength: 60 });

test('columns give back the points, NaN, infinities and the ends of int64 included', () => {
  fc.assert(
    fc.property(points, (list) => {
      expect(fromColumns(toColumns(list, 0))).toEqual(list);
      const only = new Set(['auc']);
      expect(fromColumns(toColumns(list, 0), only)).toEqual(list.filter((p) => p.key === 'auc'));
    }),
  );
});

test('a point without a time is logged for now', () => {
  const list = [
    { key: 'a', value: 1, step: 3n },
    { key: 'a', value: 2, step: 4n, timestampMs: 7n },
  ];
  expect(fromColumns(toColumns(list, 5)).map((p) => p.timestampMs)).toEqual([5, 7]);
});

test('columns are read wherever their bytes begin', () => {
  const list = [{ key: 'a', value: 1.5, step: 3n, timestampMs: 7 }];
  const columns = toColumns(list, 0);
  const shifted = (bytes: Uint8Array) => new Uint8Array([0, ...bytes]).subarray(1);
  const moved = {
    ...columns,
    values: shifted(columns.values),
    steps: shifted(columns.steps),
    times: shifted(columns.times),
  };
  expect(fromColumns(moved)).toEqual(list);
});

describe('the latest points', () => {
  test('do not depend on the order of batches nor on repetition', () => {
    fc.assert(
      fc.property(points, points, (a, b) => {
        const apply = (...batches: Point[][]) =>
          batches.reduce<readonly Point[]>((now, batch) => mergeLatest(now, batch) ?? now, []);
        const once = apply(a, b);
        const other = apply(b, a, b, a);
        expect(other.map((p) => p.key)).toEqual(once.map((p) => p.key));
        for (const [i, p] of once.entries()) expect(comparePoints(p, other[i] as Point)).toBe(0);
        expect(mergeLatest(once, a)).toBeUndefined();
      }),
    );
  });

  test('of a batch are those of its points, however they are kept', () => {
    fc.assert(
      fc.property(points, (list) => {
        const { latest, minStep, maxStep } = summarize(toColumns(list, 0));
        const expected = mergeLatest([], list) ?? [];
        expect(latest.map((p) => p.key)).toEqual(expected.map((p) => p.key));
        for (const [i, p] of latest.entries()) expect(comparePoints(p, expected[i] as Point)).toBe(0);
        const steps = list.map((p) => p.step).sort((a, b) => (a < b ? -1 : 1));
        expect([minStep, maxStep]).toEqual([steps[0] ?? 0n, steps.at(-1) ?? 0n]);
      }),
    );
  });
});

test('a series orders its points as points are ordered, the ends of int64 included', () => {
  fc.assert(
    fc.property(points, (list) => {
      const series = createSeries('loss');
      expect(series.add(toColumns(list, 0))).toBe(series.length);
      const own = list.filter((p) => p.key === 'loss');
      expect(own.map((_, i) => series.point(i))).toEqual(own);
      for (const [i, a] of own.entries())
        for (const [j, b] of own.entries())
          expect(Math.sign(series.compare(i, j))).toBe(Math.sign(comparePoints(a, b)));
    }),
  );
});

test('batches in any order are put in theirs, and then all points are in order where the batches were', () => {
  const sorted = points.map((list) => list.map((p) => ({ ...p, key: 'm' })).sort(comparePoints));
  fc.assert(
    fc.property(sorted, fc.integer({ min: 1, max: 9 }), fc.infiniteStream(fc.nat()), (list, size, chance) => {
      const batches: Point[][] = [];
      for (let at = 0; at < list.length; at += size) batches.push(list.slice(at, at + size));
      const series = createSeries('m');
      while (batches.length > 0) {
        const [batch = []] = batches.splice((chance.next().value as number) % batches.length, 1);
        series.add(toColumns(batch, 0));
      }
      series.add(toColumns([], 0));
      series.arrange();
      expect(series.length).toBe(list.length);
      expect(series.isOrdered()).toBe(true);
      for (const [i, p] of list.entries()) expect(comparePoints(series.point(i), p)).toBe(0);
    }),
  );
});

describe('down-sampling', () => {
  const chosenOf = (list: readonly Point[], most: number) => {
    const series = createSeries('m');
    for (let at = 0; at < list.length; at += 70) series.add(toColumns(list.slice(at, at + 70), 0));
    series.arrange();
    return downsample(series, most).map(series.point);
  };
  const fields = {
    key: fc.constant('m'),
    value: fc.oneof({ weight: 20, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) }, values),
    step: fc.bigInt(0n, 500n),
    timestampMs: fc.nat(1000),
  };
  const ends = fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
  const series = fc.array(fc.record(fields), { maxLength: 300 });

  test('gives points of the series, in order, no more than asked', () => {
    fc.assert(
      fc.property(series, fc.integer({ min: 1, max: 80 }), (list, most) => {
        const chosen = chosenOf(list, most);
        expect(chosen.length).toBeLessThanOrEqual(most);
        expect(chosen.length).toBe(Math.min(list.length, chosen.length));
        for (const p of chosen) expect(list).toContainEqual(p);
        for (let i = 1; i < chosen.length; i++)
          expect(comparePoints(chosen[i - 1] as Point, chosen[i] as Point)).toBeLessThanOrEqual(0);
        if (list.length <= most) expect(chosen).toHaveLength(list.length);
      }),
    );
  });

  test('does not depend on the order in which points come, nor on the batches they come in', () => {
    const wide = fc.array(fc.record({ ...fields, step: fc.oneof(fields.step, ends) }), { maxLength: 300 });
    fc.assert(
      fc.property(wide, fc.integer({ min: 1, max: 80 }), (list, most) => {
        const chosen = chosenOf(list.toSorted(comparePoints), most);
        const others = chosenOf(list.toReversed(), most);
        expect(others).toHaveLength(chosen.length);
        for (const [i, p] of chosen.entries()) expect(comparePoints(p, others[i] as Point)).toBe(0);
      }),
    );
  });

  test('keeps the ends, a spike, and where NaN and infinities begin and end', () => {
    const list = Array.from({ length: 10_000 }, (_, i) => {
      const value =
        i === 5000 ? 100 : i >= 7000 && i < 7100 ? Number.NaN : i === 8000 ? Infinity : Math.sin(i / 500);
      return { key: 'm', value, step: BigInt(i), timestampMs: i };
    });
    const steps = new Set(chosenOf(list, 100).map((p) => Number(p.step)));
    for (const step of [0, 9999, 5000, 7000, 7099, 8000]) expect(steps).toContain(step);
    expect(steps).not.toContain(7050);
    expect(steps.size).toBe(100);
  });
});
