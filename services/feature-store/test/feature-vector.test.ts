import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FeatureStatus, GetOnlineFeaturesResponseSchema } from '@millrace/contracts/features';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { writeColumn } from '../src/batch.ts';
import type { ColumnType } from '../src/domain/definition.ts';
import type { Cell } from '../src/domain/plan.ts';
import { responseOf } from '../src/handlers/feature-vector.ts';

const whole = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const values: Readonly<Record<ColumnType, fc.Arbitrary<Cell>>> = {
  bool: fc.boolean(),
  int64: whole,
  timestamp: whole,
  double: fc.double(),
  string: fc.string({ unit: 'grapheme' }),
};
const statuses = [
  FeatureStatus.PRESENT,
  FeatureStatus.NULL_VALUE,
  FeatureStatus.NOT_FOUND,
  FeatureStatus.OUTSIDE_MAX_AGE,
  FeatureStatus.NOT_RETAINED,
];

const vectors = fc.integer({ min: 0, max: 20 }).chain((rows) =>
  fc.array(
    fc.constantFrom(...(Object.keys(values) as ColumnType[])).chain((type) =>
      fc.record({
        type: fc.constant(type),
        name: fc.string({ minLength: 1 }),
        cells: fc.array(fc.oneof(fc.constant(null), values[type]), { minLength: rows, maxLength: rows }),
        found: fc.array(fc.constantFrom(...statuses), { minLength: rows, maxLength: rows }),
        times: fc.array(whole, { minLength: rows, maxLength: rows }),
      }),
    ),
    { maxLength: 5 },
  ),
);

test('an answer written as bytes is the message it stands for', () => {
  fc.assert(
    fc.property(vectors, (given) => {
      const written = responseOf(
        3,
        given.map(({ type, name, cells, found, times }) => ({
          ...{ feature: `view:${name}`, viewVersion: 7, name, type },
          column: {
            ...{ cells, statuses: Uint8Array.from(found), timesUs: BigInt64Array.from(times) },
          },
        })),
      );
      const meant = create(GetOnlineFeaturesResponseSchema, {
        rowCount: 3,
        features: given.map(({ type, name, cells, found, times }) => ({
          ...{ feature: `view:${name}`, viewVersion: 7, values: writeColumn({ name, type, cells }) },
          ...{ statuses: found, eventTimes: times },
        })),
      });
      const read = (message: typeof meant) =>
        fromBinary(GetOnlineFeaturesResponseSchema, toBinary(GetOnlineFeaturesResponseSchema, message));
      expect(read(written)).toEqual(read(meant));
    }),
  );
});
