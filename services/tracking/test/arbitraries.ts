import fc from 'fast-check';
import type { Row } from '../src/domain/filter/evaluate.ts';
import {
  type Condition,
  comparisonOperators,
  type Operand,
  type SortKey,
  statuses,
} from '../src/domain/filter/syntax.ts';

/** Names from a small set, so that conditions and rows meet; some are hard to quote. */
const keys = fc.constantFrom('a', 'b/c', 'a b', 'tick`s', '"', '__proto__', 'ü');
const texts = fc.oneof(
  fc.constantFrom('', 'abc', 'ABC', "it's", '1', '0.5', 'nan', 'a%_\\b'),
  fc.string({ maxLength: 6 }),
);
const numbers = fc.oneof(fc.constantFrom(0, 1, 0.5, Number.NaN, Infinity, -Infinity), fc.double());
const values = fc.oneof(texts, numbers);
const patterns = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '%', '_', '\\', "'"), maxLength: 8 });

const metric: fc.Arbitrary<Operand> = keys.map((key) => ({ scope: 'metrics', key }));
const text: fc.Arbitrary<Operand> = fc.oneof(
  fc.record({ scope: fc.constantFrom('params', 'tags'), key: keys }),
  fc.record({ scope: fc.constant('attributes'), key: fc.constantFrom('run_id', 'run_name', 'experiment') }),
) as fc.Arbitrary<Operand>;
const annotation = fc.record({
  scope: fc.constantFrom('params', 'tags'),
  key: keys,
}) as fc.Arbitrary<Operand>;
const time = fc.record({
  scope: fc.constant('attributes'),
  key: fc.constantFrom('start_time', 'end_time'),
}) as fc.Arbitrary<Operand>;
const status: fc.Arbitrary<Operand> = fc.constant({ scope: 'attributes', key: 'status' });
const any = fc.oneof(metric, text, time, status);

const pairOf = (operand: fc.Arbitrary<Operand>, literal: fc.Arbitrary<string | number>) =>
  fc.record({ operand, literal });
const typed = fc.oneof(
  pairOf(metric, numbers),
  pairOf(text, texts),
  pairOf(annotation, values),
  pairOf(time, numbers),
);
const comparisons: fc.Arbitrary<Condition> = fc.oneof(
  fc
    .record({ pair: typed, operator: fc.constantFrom(...comparisonOperators) })
    .map(({ pair, operator }) => ({ kind: 'compare' as const, ...pair, operator })),
  fc.record({
    kind: fc.constant('compare' as const),
    operand: status,
    operator: fc.constantFrom('=' as const, '!=' as const),
    literal: fc.constantFrom(...statuses),
  }),
  fc.record({
    kind: fc.constant('like' as const),
    operand: text,
    pattern: patterns,
    ignoreCase: fc.boolean(),
    negated: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('in' as const),
    operand: annotation,
    literals: fc.array(values, { minLength: 1, maxLength: 4 }),
    negated: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('null' as const), operand: any, negated: fc.boolean() }),
);

/** Any filter whose operands and values fit each other, a few levels deep. */
export const conditions: fc.Arbitrary<Condition> = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    comparisons,
    fc.record({ kind: fc.constant('not' as const), term: tie('condition') }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      terms: fc.array(tie('condition'), { minLength: 2, maxLength: 3 }),
    }),
  ),
})).condition;

export const sortKeys: fc.Arbitrary<SortKey[]> = fc.array(
  fc.record({ operand: any, descending: fc.boolean() }),
  { maxLength: 8 },
);

/** Runs as filters see them. */
export const rows: fc.Arbitrary<Row> = fc
  .record({
    metrics: fc.array(fc.tuple(keys, numbers)),
    params: fc.array(fc.tuple(keys, texts)),
    tags: fc.array(fc.tuple(keys, texts)),
    attributes: fc.array(
      fc.oneof(
        fc.tuple(fc.constantFrom('run_id', 'run_name', 'experiment'), texts),
        fc.tuple(fc.constantFrom('start_time', 'end_time'), numbers),
        fc.tuple(fc.constant('status'), fc.constantFrom(...statuses)),
      ) as fc.Arbitrary<[string, string | number]>,
    ),
  })
  .map((parts) => {
    const [metrics, params, tags] = [
      new Map<string, number>(parts.metrics),
      new Map<string, string>(parts.params),
      new Map<string, string>(parts.tags),
    ];
    const attributes = new Map(parts.attributes);
    return {
      metric: (key) => metrics.get(key),
      param: (key) => params.get(key),
      tag: (key) => tags.get(key),
      attribute: (key) => attributes.get(key),
    };
  });
