import { createModel, defaultLimits, logisticClassifier, writeModel } from '@millrace/onnx';
import { afterAll, describe, expect, it } from 'vitest';
import { maxMessageBytes } from '../src/config.ts';
import { maxInputMemoryBytes, maxOutputMemoryBytes } from '../src/domain/least-size.ts';
import { matchSignature } from '../src/domain/signature.ts';
import { numbersOf, type Tensor } from '../src/domain/tensor.ts';
import { createEngine, type EngineModel } from '../src/engine/engine.ts';
import { encodeModel, identityModel, linearModel, loopModel } from './models.ts';

const quiet = { warn: () => undefined };
const base = {
  workers: 2,
  arena: false,
  heapMb: 256,
  runTimeoutMs: 5000,
  loadTimeoutMs: 5000,
  memoryBudgetBytes: 1e9,
  maxMessageBytes,
  maxModels: Number.POSITIVE_INFINITY,
  now: Date.now,
  log: quiet,
};
const limits = { maxRows: 32, maxDelayMs: 0, maxQueueRows: 100_000 };
const engine = createEngine(base);
afterAll(() => engine.close());

const floats = (values: number[], columns: number): Tensor => ({
  name: 'x',
  type: 'FP32',
  shape: [values.length / columns, columns],
  data: new Uint8Array(Float32Array.from(values).buffer),
});
const feed = (model: EngineModel, tensor: Tensor) =>
  matchSignature(new Map([[tensor.name, tensor]]), model.signature);
const soon = () => ({ deadlineMs: Date.now() + 10_000 });
const open = (key: string, bytes: Uint8Array, instances = 1, on = engine) =>
  on.open({ key, bytes: async () => new Uint8Array(bytes), instances, limits });

/** Makes outputs of these lengths of one number. */
const grown = (lengths: readonly number[]) =>
  encodeModel({
    inputs: [{ name: 'x', type: 'FP32', shape: [1] }],
    outputs: lengths.map((length, i) => ({ name: `y${i}`, type: 'FP32', shape: [length] })),
    nodes: lengths.map((_, i) => ({ op: 'Expand', inputs: ['x', `shape${i}`], outputs: [`y${i}`] })),
    weights: lengths.map((length, i) => {
      const bytes = new Uint8Array(BigInt64Array.of(BigInt(length)).buffer);
      return { name: `shape${i}`, type: 'INT64', shape: [1], bytes };
    }),
  });

describe('engine', () => {
  it('runs a model and gives each request of a batch its own answer', async () => {
    const model = await open('linear', linearModel([1, 10], 0.5), 2);
    expect(model.batchable).toBe(true);
    const jobs = Array.from({ length: 300 }, (_, i) => {
      const rows = 1 + (i % 4);
      const values = Array.from({ length: rows * 2 }, (_, j) => i + j);
      return { values, answer: model.run(feed(model, floats(values, 2)), soon()) };
    });
    for (const { values, answer } of jobs) {
      const [y] = await answer;
      const expected = Array.from({ length: values.length / 2 }, (_, r) => {
        const [a = 0, b = 0] = values.slice(2 * r);
        return Math.fround(a + 10 * b + 0.5);
      });
      expect([...numbersOf(y as Tensor)]).toEqual(expected);
      expect(y?.shape).toEqual([values.length / 2, 1]);
    }
    expect(model.stats.runs).toBeLessThan(model.stats.requests);
    await model.close();
  });

  it('runs what libs/onnx writes: a logistic classifier', async () => {
    const inputs = [{ name: 'x', type: 'float32', shape: ['rows', 2] }] as const;
    const outputs = [{ name: 'p', type: 'float32', shape: ['rows', 1] }] as const;
    const logistic = logisticClassifier({ input: 'x', output: 'p', weights: [1, -1], bias: 0 });
    const model = await open('logistic', writeModel(createModel({ ...logistic, inputs, outputs })));
    const [p] = await model.run(feed(model, floats([2, 1, 0, 0], 2)), soon());
    expect(numbersOf(p as Tensor)[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 5);
    expect(numbersOf(p as Tensor)[1]).toBeCloseTo(0.5, 6);
    expect(model.batchable).toBe(true);
    await model.close();
  });

  it('does not batch a model whose rows depend on each other', async () => {
    const mean = encodeModel({
      inputs: [{ name: 'x', type: 'FP32', shape: ['n', 1] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['n', 1] }],
      nodes: [
        { op: 'ReduceSum', inputs: ['x'], outputs: ['sum'], attributes: { keepdims: 1 } },
        { op: 'Add', inputs: ['x', 'sum'], outputs: ['y'] },
      ],
    });
    const model = await open('mean', mean);
    expect(model.batchable).toBe(false);
    const answers = await Promise.all(
      [1, 2, 3, 4, 5].map((value) => model.run(feed(model, floats([value], 1)), soon())),
    );
    expect(answers.map(([y]) => numbersOf(y as Tensor)[0])).toEqual([2, 4, 6, 8, 10]);
    await model.close();
  });

  it.each([
    'BOOL',
    'UINT8',
    'UINT16',
    'UINT32',
    'UINT64',
    'INT8',
    'INT16',
    'INT32',
    'INT64',
    'FP16',
    'FP32',
    'FP64',
  ] as const)('carries %s bit for bit', async (type) => {
    const model = await open(`identity-${type}`, identityModel(type, ['n', 2]));
    const size = {
      BOOL: 1,
      UINT8: 1,
      UINT16: 2,
      UINT32: 4,
      UINT64: 8,
      INT8: 1,
      INT16: 2,
      INT32: 4,
      INT64: 8,
      FP16: 2,
      FP32: 4,
      FP64: 8,
    }[type];
    const data = Uint8Array.from({ length: 4 * size }, (_, i) => (type === 'BOOL' ? i % 2 : 60 - 3 * i));
    const [y] = await model.run(feed(model, { name: 'x', type, shape: [2, 2], data: data.slice() }), soon());
    expect(y).toEqual({ name: 'y', type, shape: [2, 2], data });
    await model.close();
  });

  it('carries texts, scalars and empty tensors', async () => {
    const texts = await open('texts', identityModel('BYTES', ['n']));
    const words = { name: 'x', type: 'BYTES', shape: [3], data: ['', 'é', '漢字'] } as const;
    expect((await texts.run(feed(texts, words), soon()))[0]?.data).toEqual(words.data);
    const scalar = await open('scalar', identityModel('FP32', []));
    const seven = {
      name: 'x',
      type: 'FP32',
      shape: [],
      data: new Uint8Array(Float32Array.of(7).buffer),
    } as const;
    expect((await scalar.run(feed(scalar, seven), soon()))[0]).toMatchObject({ shape: [] });
    const empty = await open('empty', linearModel([1, 2], 0));
    expect((await empty.run(feed(empty, floats([], 2)), soon()))[0]).toMatchObject({ shape: [0, 1] });
    await Promise.all([texts.close(), scalar.close(), empty.close()]);
  });

  it('runs the requests of a failed batch one by one, so that only the bad one fails', async () => {
    const table = encodeModel({
      inputs: [{ name: 'x', type: 'INT64', shape: ['n'] }],
      outputs: [{ name: 'y', type: 'FP32', shape: ['n'] }],
      nodes: [{ op: 'Gather', inputs: ['t', 'x'], outputs: ['y'] }],
      weights: [
        { name: 't', type: 'FP32', shape: [3], bytes: new Uint8Array(Float32Array.of(5, 6, 7).buffer) },
      ],
    });
    const model = await open('table', table);
    const answers = await Promise.allSettled(
      [0, 1, 99, 2].map((index) => {
        const data = new Uint8Array(BigInt64Array.of(BigInt(index)).buffer);
        return model.run(feed(model, { name: 'x', type: 'INT64', shape: [1], data }), soon());
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(answers[2]).toMatchObject({ reason: { kind: 'invalid_argument', code: 'MODEL_REFUSED' } });
    expect((answers[2] as PromiseRejectedResult).reason.message).not.toMatch(/Gather|idx|onnx/i);
    await model.close();
  });

  it('starts and stops again and again, also with work under way', async () => {
    for (let i = 0; i < 8; i++) {
      const one = createEngine(base);
      const model = await open('again', linearModel([1], 0), 2, one);
      const jobs = Array.from({ length: 20 }, () =>
        model.run(feed(model, floats([1], 1)), soon()).catch(() => []),
      );
      await one.close();
      await Promise.race([Promise.all(jobs), new Promise((resolve) => setTimeout(resolve, 50))]);
    }
  }, 30_000);

  it('refuses what the runtime cannot read, and says so without its words', async () => {
    await expect(open('garbage', Uint8Array.of(1, 2, 3))).rejects.toMatchObject({
      code: 'MODEL_LOAD_FAILED',
      message: 'the model cannot be loaded: the runtime refused it',
    });
  });

  it('refuses, before it builds a first request, what no message can carry; the examination does the same', async () => {
    expect(defaultLimits).toMatchObject({ maxMessageBytes, maxInputMemoryBytes, maxOutputMemoryBytes });
    const narrow = createEngine({ ...base, workers: 1, maxMessageBytes: 1000 });
    const refused = [
      { file: identityModel('FP32', [251]), why: 'its inputs take at least 1004 bytes; allowed: 1000' },
      { file: identityModel('FP32', ['n', 251]), why: 'its inputs take at least 1004 bytes; allowed: 1000' },
      { file: identityModel('BYTES', [251]), why: 'its inputs take at least 1004 bytes; allowed: 1000' },
      { file: grown([251]), why: 'each of its outputs takes at least 1004 bytes; allowed: 1000' },
    ];
    for (const { file, why } of refused)
      await expect(open('wide', file, 1, narrow)).rejects.toMatchObject({
        code: 'MODEL_LOAD_FAILED',
        message: `the model cannot be loaded: ${why}`,
      });
    // The other output can be asked for alone, and texts take more in memory than in a message.
    await open('mask', grown([251, 1]), 1, narrow);
    await open('texts', identityModel('BYTES', [250]), 1, narrow);
    const half = await open('half', identityModel('FP32', ['n', 125]), 1, narrow);
    const whole = await open('whole', identityModel('FP32', ['n', 250]), 1, narrow);
    expect([half.batchable, whole.batchable]).toEqual([true, false]);
    await narrow.close();
  });

  it('refuses what fits a message and not the memory, and loads what earlier releases served', async () => {
    const patient = createEngine({ ...base, workers: 1, runTimeoutMs: 60_000 });
    const load = async (key: string, file: Uint8Array) => (await open(key, file, 1, patient)).close();
    await expect(load('texts', identityModel('BYTES', [7_000_000]))).rejects.toThrow(
      'its inputs take at least 280000000 bytes of memory; allowed: 268435456',
    );
    const half = 65 * 1024 ** 2;
    await expect(load('outputs', grown([half, half, 1]))).rejects.toThrow(
      'its outputs take at least 545259524 bytes of memory; allowed: 536870912',
    );
    await load('text', identityModel('BYTES', [3_000_000]));
    await load('segmentation', grown([21 * 1024 ** 2 + 1, 1]));
    await patient.close();
  }, 120_000);

  it('drops a request whose deadline is over before a worker is free', async () => {
    const model = await open('late', linearModel([1], 0));
    await expect(
      model.run(feed(model, floats([1], 1)), { deadlineMs: Date.now() - 1 }),
    ).rejects.toMatchObject({
      kind: 'deadline_exceeded',
    });
    await model.close();
  });

  it('replaces a worker that hangs, and answers for other models go on', async () => {
    const one = createEngine({ ...base, workers: 1, runTimeoutMs: 400 });
    const loop = await open('loop', loopModel(), 1, one);
    const linear = await open('linear', linearModel([2], 0), 1, one);
    const startMs = Date.now();
    await expect(loop.run(feed(loop, floats([3e6], 1)), soon())).rejects.toMatchObject({
      kind: 'unavailable',
      code: 'RUN_TIMEOUT',
      retryAfterMs: 1000,
    });
    expect(Date.now() - startMs).toBeLessThan(2000);
    const [y] = await linear.run(feed(linear, floats([21], 1)), soon());
    expect(numbersOf(y as Tensor)[0]).toBe(42);
    await expect.poll(() => one.stuck, { timeout: 20_000 }).toBe(0);
    await one.close();
  }, 30_000);

  it('puts the least recently used model to rest when the budget is used up, and wakes it when asked', async () => {
    const big = linearModel(
      Array.from({ length: 50_000 }, () => 1),
      0,
    );
    const small = createEngine({ ...base, workers: 1, memoryBudgetBytes: 4 * big.byteLength });
    const models = [];
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      models.push(await open(key, big, 1, small).catch((error: unknown) => error));
    }
    const opened = models.filter((model): model is EngineModel => !(model instanceof Error));
    expect(opened.length).toBe(6);
    const row = Array.from({ length: 50_000 }, () => 1);
    for (const model of opened) {
      const [y] = await model.run(feed(model, floats(row, 50_000)), soon());
      expect(numbersOf(y as Tensor)[0]).toBe(50_000);
    }
    await small.close();
  });
});
