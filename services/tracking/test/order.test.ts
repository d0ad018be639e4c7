import fc from 'fast-check';
import { expect, test } from 'vitest';
import { comparePlaces, parseOrder, placeOf } from '../src/domain/filter/order.ts';
import { rows, sortKeys } from './arbitraries.ts';

const ids = fc.stringMatching(/^[0-9a-f]{4}$/);

test('the order is total and consistent', () => {
  fc.assert(
    fc.property(sortKeys, fc.array(fc.tuple(rows, ids), { minLength: 3, maxLength: 3 }), (keys, list) => {
      const [a, b, c] = list.map(([row, id]) => placeOf(row, id, keys));
      if (!a || !b || !c) return;
      expect(Math.sign(comparePlaces(a, b, keys))).toBe(-Math.sign(comparePlaces(b, a, keys)) + 0);
      if (comparePlaces(a, b, keys) <= 0 && comparePlaces(b, c, keys) <= 0)
        expect(comparePlaces(a, c, keys)).toBeLessThanOrEqual(0);
      if (comparePlaces(a, b, keys) === 0) expect(a.id).toBe(b.id);
    }),
    { numRuns: 1000 },
  );
});

test('NaN and missing values come last in both directions', () => {
  for (const direction of ['ASC', 'DESC']) {
    const keys = parseOrder(`metrics.m ${direction}`);
    const values = [Number.NaN, 1, undefined, Infinity, 2, -Infinity];
    const places = values.map((value, i) =>
      placeOf(
        { metric: () => value, param: () => undefined, tag: () => undefined, attribute: () => undefined },
        String(i),
        keys,
      ),
    );
    const sorted = places.sort((a, b) => comparePlaces(a, b, keys)).map((place) => place.values[0]);
    const numbers = direction === 'ASC' ? [-Infinity, 1, 2, Infinity] : [Infinity, 2, 1, -Infinity];
    expect(sorted).toEqual([...numbers, Number.NaN, null]);
  }
});

test.each([
  'metrics',
  'metrics.a,',
  'metrics.a DESC DESC',
  'foo',
  'a'.repeat(9000),
  Array(9).fill('status').join(),
])('refuses %j', (text) => {
  expect(() => parseOrder(text)).toThrow('order_by');
});
