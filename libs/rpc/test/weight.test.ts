import {
  create,
  type DescMessage,
  fromJson,
  type Message,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { StructSchema, ValueSchema } from '@bufbuild/protobuf/wkt';
import { ColumnBatchSchema, ColumnSchema } from '@millrace/contracts/common';
import { ModelInferRequestSchema } from '@millrace/contracts/inference';
import { LogBatchRequestSchema } from '@millrace/contracts/tracking';
import { damage } from '@millrace/testing';
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

/** The same bytes as a field with a length. */
function within(tag: number, inner: Uint8Array): Uint8Array {
  return new BinaryWriter().uint32(tag).bytes(inner).finish();
}

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
    [
      'messages in one entry of a map',
      StructSchema,
      [0x32, 0x12, 0x0a].reduce((inner, tag) => within(tag, inner), repeated(0x0a, 0)),
    ],
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
    expect(weight).toBeGreaterThan(2_400_000);
    expect(weight).toBeLessThan(2_401_000);
  });
});

it('fields that the contract does not know are left out, megabytes of them too', () => {
  const message = decodeRequest(LogBatchRequestSchema, repeated(0xf8, 0x7f, 1), limit);
  expect(message.$unknown).toBeUndefined();
  const blob = Uint8Array.from([0xfa, 0x7f, 0x80, 0x80, 0x80, 1, ...new Uint8Array(2 ** 21)]);
  expect(decodeRequest(LogBatchRequestSchema, blob, limit).$unknown).toBeUndefined();
});

it('messages nested without end are no message', () => {
  let nested: Uint8Array = new Uint8Array();
  // A value that is a list with a value that is a list …
  for (let depth = 0; depth < 2_000; depth++) nested = within(depth % 2 === 0 ? 0x0a : 0x32, nested);
  const undecodable = expect.objectContaining({ code: 'UNDECODABLE' });
  expect(() => decodeRequest(ValueSchema, nested, limit)).toThrow(undecodable);
  expect(() => decodeRequest(LogBatchRequestSchema, repeated(0x7b), limit)).toThrow(undecodable);
});

it('texts weigh what they hold', () => {
  const empty = weigh(ColumnSchema, new Uint8Array(), 1e9);
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 9 }), { maxLength: 50 }), (strings) => {
      const bytes = toBinary(ColumnSchema, create(ColumnSchema, { strings }));
      const sizes = strings.map((one) => Buffer.byteLength(one));
      const texts = sizes.reduce((sum, length) => sum + 8 + (length < 2 ? 0 : 20 + length), 0);
      const room = strings.length > 0 ? 80 : 0;
      expect(weigh(ColumnSchema, bytes, 1e9) - empty).toBe(room + texts);
    }),
  );
});

const samples: readonly (readonly [DescMessage, Uint8Array])[] = [
  encoded(LogBatchRequestSchema, {
    name: 'projects/default/runs/a',
    metrics: [{ key: 'loss', value: 0.5, step: 3n, timestampMs: 1_700_000_000_000n }, { key: 'accuracy' }],
    params: [{ key: 'rate', value: '0.1' }],
  }),
  encoded(ModelInferRequestSchema, {
    modelName: 'heat',
    parameters: { a: { parameterChoice: { case: 'stringParam', value: 'b' } } },
    inputs: [
      { name: 'x', shape: [1n, 3n], contents: { fp32Contents: [1, 2, 3], boolContents: [true] } },
      { name: 'y', contents: { bytesContents: [new Uint8Array(3)] } },
    ],
    outputs: [{ name: 'p' }],
    rawInputContents: [new Uint8Array(8)],
  }),
  encoded(ColumnBatchSchema, {
    rowCount: 2,
    columns: [
      { name: 'n', int64s: [1n, 2n] },
      { name: 's', strings: ['one', 'two'] },
    ],
  }),
  encoded(ValueSchema, fromJson(ValueSchema, { list: [1, 'two', null, { deep: [[], [{}]] }], more: {} })),
];

function encoded<T extends DescMessage>(type: T, init: MessageInitShape<T>): readonly [T, Uint8Array] {
  return [type, toBinary(type, create(type, init))];
}

/** Bytes that what was built holds at least, counted by its parts. */
function heldBy(value: unknown): number {
  if (typeof value === 'string') return 16 + value.length;
  if (typeof value === 'bigint') return 16;
  if (ArrayBuffer.isView(value)) return 96;
  if (typeof value !== 'object' || value === null) return 0;
  const parts = Object.entries(value).filter(([key]) => key !== '$typeName');
  const inner = parts.reduce((sum, [, one]) => sum + heldBy(one), 0);
  // The first item of a list makes room for more.
  const room = Array.isArray(value) && value.length > 0 ? Math.max(value.length, 16) : parts.length;
  return 24 + 8 * room + inner;
}

/** Picks by a stream of numbers. */
const choices = fc.infiniteStream(fc.nat(2 ** 30)).map((numbers) => (below: number) => {
  return below <= 0 ? 0 : ((numbers.next().value as number) ?? 0) % below;
});

it('whatever is done to the bytes, they are refused or weigh what is built of them', () => {
  let built = 0;
  const property = fc.property(
    fc.constantFrom(...samples),
    fc.integer({ min: 1, max: 3 }),
    choices,
    (sample, count, pick) => {
      const [type, bytes] = sample;
      const damaged = damage(bytes, count, pick);
      let message: Message;
      try {
        message = decodeRequest(type, damaged, 1e9);
      } catch (error) {
        expect(error).toMatchObject({ kind: 'invalid_argument', code: 'UNDECODABLE' });
        return;
      }
      built++;
      expect(weigh(type, damaged, 1e9)).toBeGreaterThanOrEqual(heldBy(message) / 2);
    },
  );
  fc.assert(property, { numRuns: 2000 });
  expect(built).toBeGreaterThan(100);
});
