import fc from 'fast-check';
import type { Data } from '../src/index.ts';

const key = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    '$n',
    '$b',
    '$',
    '$$i',
    'a.b',
    '',
    '0',
    '10',
    '\u0000',
  ),
);

const leaf: fc.Arbitrary<Data> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double(),
  fc.constantFrom(NaN, Infinity, -Infinity, -0, 0, Number.MAX_SAFE_INTEGER, 2 ** 63, 5e-324),
  fc.integer(),
  fc.bigInt(),
  fc.string(),
  fc.string({ unit: 'binary' }),
  // Half of a surrogate pair: legal in JavaScript, not in UTF-8.
  fc.constantFrom('\ud800', 'x\udfff', '\u0000', '\u2028'),
  fc.uint8Array({ maxLength: 40 }),
);

/** Plain data of every kind the port allows, with awkward keys, numbers and text. */
export const dataArbitrary: fc.Arbitrary<Data> = fc.letrec<{ data: Data }>((tie) => ({
  data: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaf,
    fc.array(tie('data'), { maxLength: 4 }),
    fc.uniqueArray(fc.tuple(key, tie('data')), { maxLength: 4, selector: ([k]) => k }).map(fromPairs),
  ),
})).data;

/** An object of any keys; `Object.fromEntries` defines members, so `__proto__` is one too. */
function fromPairs(pairs: readonly (readonly [string, Data])[]): Data {
  return Object.fromEntries(pairs);
}
