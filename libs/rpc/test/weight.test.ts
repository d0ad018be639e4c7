import { create, type DescMessage, toBinary } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import { ColumnBatchSchema, ColumnSchema } from '@millrace/contracts/common';
import { ModelInferRequestSchema } from '@millrace/contracts/inference';
import { LogBatchRequestSchema } from '@millrace/contracts/tracking';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRequest } from '../src/codec.ts';
import { weigh } from '../src/weight.ts';

const size = 4 * 1024 * 1024;
const limit = 4 * size;

/** A message of `size` bytes that says the same few bytes again and again. */
function repeated(...part: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.floor(size / part.length) * part.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = part[i % part.length]!;
  return bytes;
}

const tagOf = (type: DescMessage, name: string) => {
  const field = type.fields.find((one) => one.name === name);
  return ((field?.number ?? 0) << 3) | 2;
};
const entry = [tagOf(ModelInferRequestSchema, 'parameters'), 5, 0x0a, 3, 65, 66, 67];

describe('requests that grow a hundred times when they are read are refused unread', () => {
  it.each<[string, DescMessage, Uint8Array]>([
    ['empty messages', LogBatchRequestSchema, repeated(tagOf(LogBatchRequestSchema, 'metrics'), 0)],
    [
      'empty messages of another',
      ModelInferRequestSchema,
      repeated(tagOf(ModelInferRequestSchema, 'inputs'), 0),
    ],
    [
      'empty bytes',
      ModelInferRequestSchema,
      repeated(tagOf(ModelInferRequestSchema, 'raw_input_contents'), 0),
    ],
    ['empty texts', ColumnSchema, repeated(tagOf(ColumnSchema, 'strings'), 0)],
    [
      'messages in messages',
      ColumnBatchSchema,
      repeated(tagOf(ColumnBatchSchema, 'columns'), 2, tagOf(ColumnSchema, 'strings'), 0),
    ],
    ['entries of a map', ModelInferRequestSchema, repeated(...entry)],
  ])('%s', (_, type, bytes) => {
    const before = process.memoryUsage().rss;
    expect(() => decodeRequest(type, bytes, limit)).toThrow(
      expect.objectContaining({ kind: 'resource_exhausted', code: 'TOO_LARGE' }),
    );
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('not so those that hold what they weigh', () => {
    const data = new Uint8Array(size);
    const tensor = create(ModelInferRequestSchema, { rawInputContents: [data] });
    expect(weigh(ModelInferRequestSchema, toBinary(ModelInferRequestSchema, tensor), limit)).toBeLessThan(
      1000,
    );
    const columns = [{ name: 'a', doubles: Array.from({ length: 100_000 }, (_, i) => i) }];
    const bytes = toBinary(ColumnBatchSchema, create(ColumnBatchSchema, { columns }));
    const weight = weigh(ColumnBatchSchema, bytes, limit);
    expect(weight).toBeGreaterThan(800_000);
    expect(weight).toBeLessThan(801_000);
  });
});

it('fields that the contract does not know are left out, megabytes of them too', () => {
  const message = decodeRequest(LogBatchRequestSchema, repeated(0xf8, 0x7f, 1), limit);
  expect(message.$unknown).toBeUndefined();
  const blob = Uint8Array.from([0xfa, 0x7f, 0x80, 0x80, 0x80, 1, ...new Uint8Array(2 ** 21)]);
  expect(decodeRequest(LogBatchRequestSchema, blob, limit).$unknown).toBeUndefined();
});

it('messages nested without end are no message', () => {
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
  const parts: number[][] = [];
  let length = 0;
  // A value that is a list with a value that is a list …
  for (let depth = 0; depth < 2_000; depth++) {
    const head = [depth % 2 === 0 ? 0x0a : 0x32, ...varint(length)];
    parts.unshift(head);
    length += head.length;
  }
  const undecodable = expect.objectContaining({ code: 'UNDECODABLE' });
  expect(() => decodeRequest(ValueSchema, Uint8Array.from(parts.flat()), limit)).toThrow(undecodable);
  expect(() => decodeRequest(LogBatchRequestSchema, repeated(0x7b), limit)).toThrow(undecodable);
});

it('weighing ends for any bytes, and says at least what it counted', () => {
  const types = fc.constantFrom<DescMessage[]>(
    LogBatchRequestSchema,
    ModelInferRequestSchema,
    ColumnBatchSchema,
  );
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 300 }), (type, bytes) => {
      const weight = weigh(type, bytes, Number.POSITIVE_INFINITY);
      expect(weight).toBeGreaterThanOrEqual(0);
      expect(weight).toBeLessThanOrEqual(200 * bytes.length);
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 9 }), { maxLength: 50 }), (strings) => {
      const bytes = toBinary(ColumnSchema, create(ColumnSchema, { strings }));
      const text = strings.reduce((sum, one) => sum + Buffer.byteLength(one), 0);
      expect(weigh(ColumnSchema, bytes, 1e9)).toBe(strings.length * 32 + text);
    }),
  );
});
