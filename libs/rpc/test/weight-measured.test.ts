import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { create, type DescMessage, fromJson, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { ListValueSchema } from '@bufbuild/protobuf/wkt';
import { ColumnBatchSchema, ColumnSchema } from '@millrace/contracts/common';
import { PushRowsRequestSchema } from '@millrace/contracts/features';
import { ModelInferRequestSchema } from '@millrace/contracts/inference';
import { ApplyPipelineRequestSchema } from '@millrace/contracts/pipelines';
import { LogBatchRequestSchema, UploadArtifactRequestSchema } from '@millrace/contracts/tracking';
import { describe, expect, it } from 'vitest';
import { decodeRequest } from '../src/codec.ts';
import { defaultMaxMessageBytes, maxRequestWeight } from '../src/router.ts';
import { weigh } from '../src/weight.ts';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

type Request = readonly [DescMessage, Uint8Array];
const many = <T>(make: (i: number) => T, count = 50_000): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
function request<T extends DescMessage>(type: T, init: MessageInitShape<T>): Request {
  return [type, toBinary(type, create(type, init))];
}
const list = (items: Parameters<typeof fromJson>[1][]): Request => [
  ListValueSchema,
  toBinary(ListValueSchema, fromJson(ListValueSchema, items)),
];

/** Bytes that a message takes once it is read. */
function heldBy([type, bytes]: Request): number {
  decodeRequest(type, bytes, 1e9);
  const used = () => {
    for (let i = 0; i < 3; i++) collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = used();
  const message = decodeRequest(type, bytes, 1e9);
  const after = used();
  expect(message.$typeName).toBe(type.typeName);
  return after - before;
}

it.each<[string, Request]>([
  ['objects of two', list(many(() => ({ a: 1, b: 2 })))],
  ['objects of four', list(many(() => ({ a: 1, b: 2, c: 3, d: 4 })))],
  ['empty objects', list(many(() => ({})))],
  ['empty lists', list(many(() => []))],
  ['lists of one', list(many(() => [1]))],
  ['lists of nine', list(many(() => many((i) => i, 9)))],
  ['fields of an object', list([Object.fromEntries(many((i) => [`k${i}`, { a: i }]))])],
  ['whole numbers', list(many((i) => i))],
  ['fractions', list(many((i) => i + 0.5))],
  ['texts', list(many((i) => `s${i}`))],
  ['metrics', request(LogBatchRequestSchema, { metrics: many((i) => ({ key: `k${i}`, value: i + 0.5 })) })],
  ['params', request(LogBatchRequestSchema, { params: many((i) => ({ key: `k${i}`, value: `v${i}` })) })],
  ['empty inputs', request(ModelInferRequestSchema, { inputs: many(() => ({})) })],
  ['raw inputs', request(ModelInferRequestSchema, { rawInputContents: many(() => new Uint8Array(8)) })],
  ['empty columns', request(ColumnBatchSchema, { columns: many(() => ({})) })],
  ['columns of a row', request(ColumnBatchSchema, { columns: many((i) => ({ strings: [`a${i}`] })) })],
  ['letters', request(ColumnSchema, { strings: many(() => 'a', 500_000) })],
  ['short texts', request(ColumnSchema, { strings: many((i) => `s${i}`) })],
  ['long texts', request(ColumnSchema, { strings: many((i) => 'x'.repeat(200) + i) })],
  ['doubles', request(ColumnSchema, { doubles: many((i) => i + 0.5, 500_000) })],
  ['whole numbers of 64 bits', request(ColumnSchema, { int64s: many((i) => BigInt(i)) })],
])('weights are what is measured: %s', (_, one) => {
  const ratio = weigh(one[0], one[1], 1e9) / heldBy(one);
  expect(ratio).toBeGreaterThan(0.7);
  expect(ratio).toBeLessThan(1.12);
});

/** A pipeline with steps that each have items, at most 100,000; all its JSON has at most 2 MiB. */
function pipeline(items: readonly unknown[][]): Request {
  const text = JSON.stringify(items);
  expect(text.length).toBeLessThanOrEqual(2 * 1024 * 1024 - 1000);
  const steps = items.map((values, i) => {
    const list = fromJson(ListValueSchema, values as Parameters<typeof fromJson>[1]);
    return { name: `step-${i}`, forEach: { source: { case: 'items' as const, value: list } } };
  });
  return request(ApplyPipelineRequestSchema, {
    pipeline: { name: 'projects/p/pipelines/a', spec: { steps } },
  });
}

describe('the largest that the contract allows is read', () => {
  it.each<[string, Request]>([
    ['a pipeline for 100,000 objects of two', pipeline([many(() => ({ a: 1, b: 2 }), 100_000)])],
    ['a pipeline for 100,000 lists of nine', pipeline([many(() => [1, 2, 3, 4, 5, 6, 7, 8, 9], 100_000)])],
    ['a pipeline for 690,000 empty objects', pipeline(many(() => many(() => ({}), 98_600), 7))],
    ['a pipeline for 100,000 texts', pipeline([many(() => 'a text of 16 big', 100_000)])],
    [
      'a batch of metrics, params and tags',
      request(LogBatchRequestSchema, {
        metrics: many((i) => ({ key: `${i}`.padEnd(250, 'k'), value: 0.5, step: 1n, timestampMs: 1n }), 1000),
        params: many((i) => ({ key: `${i}`.padEnd(250, 'k'), value: 'v'.repeat(6000) }), 200),
        tags: many((i) => ({ key: `${i}`.padEnd(250, 'k'), value: 'v'.repeat(8192) }), 200),
      }),
    ],
    [
      'a chunk',
      request(UploadArtifactRequestSchema, { part: { case: 'chunk', value: new Uint8Array(2 ** 20) } }),
    ],
    [
      '100,000 rows',
      request(PushRowsRequestSchema, {
        rows: {
          columns: [
            { name: 'key', strings: many((i) => `customer-${i}`, 100_000) },
            ...many((i) => ({ name: `f${i}`, doubles: many((row) => row + 0.5, 100_000) }), 16),
          ],
        },
      }),
    ],
    [
      'floats of a whole message',
      request(ModelInferRequestSchema, {
        inputs: [{ name: 'x', contents: { fp32Contents: many((i) => i + 0.5, 4 * 2 ** 20 - 100) } }],
      }),
    ],
    [
      'a tensor of a whole message',
      request(ModelInferRequestSchema, { rawInputContents: [new Uint8Array(16 * 2 ** 20 - 100)] }),
    ],
  ])('%s', (_, [type, bytes]) => {
    expect(bytes.length).toBeLessThanOrEqual(defaultMaxMessageBytes);
    expect(decodeRequest(type, bytes, maxRequestWeight(defaultMaxMessageBytes)).$typeName).toBe(
      type.typeName,
    );
  });
});
