import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLike } from '../src/domain/filter/like.ts';
import { likes } from './naive-filter.ts';

const texts = fc.string({ unit: fc.constantFrom('a', 'b', '%', '_', '\\', '💥'), maxLength: 12 });
const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '%', '_', '\\', '💥'), maxLength: 8 });

test('the matcher agrees with the definition', () => {
  fc.assert(
    fc.property(patterns, texts, (pattern, text) => {
      expect(createLike(pattern, false)(text)).toBe(likes([...pattern], [...text]));
    }),
    { numRuns: 5000 },
  );
});

test('long patterns cross the words of the bit set', () => {
  const long = 'ab'.repeat(100);
  expect(createLike(`%${long}%`, false)(`xx${long}yy`)).toBe(true);
  expect(createLike(`%${long}`, false)(`${long}y`)).toBe(false);
  expect(createLike('_'.repeat(64), false)('a'.repeat(64))).toBe(true);
  expect(createLike('_'.repeat(64), false)('a'.repeat(63))).toBe(false);
});

test('hostile patterns take time in proportion to the text', () => {
  const like = createLike(`${'%a'.repeat(120)}%b`, false);
  const start = performance.now();
  expect(like('a'.repeat(200_000))).toBe(false);
  expect(performance.now() - start).toBeLessThan(2000);
});
