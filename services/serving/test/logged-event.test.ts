import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ColumnType } from '@millrace/contracts/common';
import { InferenceLoggedSchema } from '@millrace/contracts/serving';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assembledBlocks,
  keyBlocks,
  type LogRecord,
  splitRecords,
  tensorBlocks,
  tensorHeads,
} from '../src/domain/log-rows.ts';
import { encodeLogged } from '../src/serve/logged-event.ts';

const source = {
  project: 'default',
  deployment: 'projects/default/deployments/d',
  modelVersion: 'projects/default/models/m/versions/1',
  shadow: true,
  sampleRate: 0.25,
};

interface Row {
  readonly key: bigint;
  readonly flag: boolean | null;
  readonly text: string | null;
  readonly x: readonly [number, number];
}

const row: fc.Arbitrary<Row> = fc.record({
  key: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  flag: fc.option(fc.boolean()),
  text: fc.option(fc.string({ maxLength: 20 })),
  x: fc.tuple(fc.double(), fc.double()),
});

function recordOf(requestId: string, rows: readonly Row[]): LogRecord {
  const x = {
    name: 'x',
    type: 'FP64',
    shape: [rows.length, 2],
    data: new Uint8Array(Float64Array.from(rows.flatMap((one) => one.x)).buffer),
  } as const;
  const y = {
    name: 'y',
    type: 'UINT64',
    shape: [rows.length],
    data: new Uint8Array(BigInt64Array.from(rows, ({ key }) => key).buffer),
  } as const;
  const all = <T>(of: (one: Row) => T) => rows.map(of);
  return {
    requestId,
    rows: rows.length,
    eventTimesUs: rows.map((_, i) => -1000 + i),
    entities: keyBlocks([{ name: 'k', values: all((one) => one.key) }]),
    inputs: [
      ...tensorBlocks(x, rows.length, (tensor, wide) => tensorHeads(tensor, wide, ['first'])),
      ...assembledBlocks([
        { name: 'flag', values: all((one) => one.flag ?? false) },
        { name: 'text', values: all((one) => one.text ?? '') },
        { name: 'often', values: all((one) => (one.flag === null ? null : 1)) },
      ]),
    ],
    outputs: tensorBlocks(y, rows.length, (tensor, wide) => tensorHeads(tensor, wide, undefined)),
  };
}

describe('an event of the inference log', () => {
  it('holds every value of its records in their order, and is what protobuf would write', () => {
    const requests = fc.array(fc.array(row, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(requests, fc.integer({ min: 1, max: 2000 }), (given, maxBytes) => {
        const records = given.map((rows, i) => recordOf(`r${i}`, rows));
        const events = splitRecords(records, maxBytes).map((parts) => encodeLogged(source, parts));
        const read = events.map(({ data, rows }) => {
          const event = fromBinary(InferenceLoggedSchema, data);
          expect(Buffer.from(toBinary(InferenceLoggedSchema, event)).equals(data)).toBe(true);
          expect(event).toMatchObject({ deployment: source.deployment, shadow: true, sampleRate: 0.25 });
          for (const batch of [event.entities, event.inputs, event.outputs])
            expect(batch?.rowCount).toBe(rows);
          return event;
        });
        const all = given.flat();
        const column = (name: string) =>
          read.flatMap(({ entities, inputs, outputs }) =>
            [entities, inputs, outputs].flatMap((batch) =>
              (batch?.columns ?? []).filter((one) => one.name === name),
            ),
          );
        expect(read.flatMap(({ requestIds }) => requestIds)).toEqual(
          given.flatMap((rows, i) => rows.map(() => `r${i}`)),
        );
        expect(read.flatMap(({ inferenceIds }) => inferenceIds)).toEqual(
          given.flatMap((rows, i) => rows.map((_, n) => (rows.length === 1 ? `r${i}` : `r${i}/${n}`))),
        );
        expect(read.flatMap(({ eventTimes }) => eventTimes)).toEqual(
          given.flatMap((rows) => rows.map((_, n) => BigInt(n - 1000))),
        );
        expect(column('k').flatMap(({ int64s }) => int64s)).toEqual(all.map(({ key }) => key));
        expect(column('y').flatMap(({ int64s }) => int64s)).toEqual(all.map(({ key }) => key));
        expect(column('first').flatMap(({ doubles }) => doubles)).toEqual(all.map(({ x }) => x[0]));
        expect(column('x_1').flatMap(({ doubles }) => doubles)).toEqual(all.map(({ x }) => x[1]));
        expect(column('flag').flatMap(({ bools }) => bools)).toEqual(all.map(({ flag }) => flag ?? false));
        expect(column('text').flatMap(({ strings }) => strings)).toEqual(all.map(({ text }) => text ?? ''));
        const there = column('often').flatMap(({ doubles, validity }) =>
          doubles.map((_, n) => validity.length === 0 || ((validity[n >> 3]! >> (n & 7)) & 1) === 1),
        );
        expect(there).toEqual(all.map(({ flag }) => flag !== null));
        expect(column('often').every(({ type }) => type === ColumnType.DOUBLE)).toBe(true);
      }),
    );
  });
});
