import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { floatsOf, type Harness, type InferInit, raw32, rowsOf, startHarness } from './harness.ts';
import { encodeModel, identityModel, linearModel } from './models.ts';

let h: Harness;
beforeAll(async () => {
  h = await startHarness();
  h.addVersion(1, linearModel([1, 10], 0.5));
  h.addVersion(2, identityModel('BYTES', ['n']));
  h.addVersion(3, identityModel('FP16', ['n', 2]));
  h.addVersion(
    4,
    encodeModel({
      inputs: [
        { name: 'x', type: 'FP32', shape: ['n', 1] },
        { name: 'flag', type: 'BOOL', shape: ['n', 1] },
        { name: 'small', type: 'INT8', shape: ['n', 1] },
      ],
      outputs: [
        { name: 'y', type: 'FP32', shape: ['n', 1] },
        { name: 'g', type: 'BOOL', shape: ['n', 1] },
        { name: 's', type: 'INT8', shape: ['n', 1] },
      ],
      nodes: [
        { op: 'Identity', inputs: ['x'], outputs: ['y'] },
        { op: 'Identity', inputs: ['flag'], outputs: ['g'] },
        { op: 'Identity', inputs: ['small'], outputs: ['s'] },
      ],
    }),
  );
  h.addVersion(5, identityModel('FP32', []));
  for (const [id, version] of [
    ['linear', 1],
    ['texts', 2],
    ['half', 3],
    ['three', 4],
    ['scalar', 5],
  ] as const) {
    const selector = { case: 'version' as const, value: version };
    await h.deploy(id, { targets: [{ model: 'projects/default/models/delay', weight: 1, selector }] });
  }
  for (const [id, version] of [
    ['linear', 1],
    ['texts', 2],
    ['half', 3],
    ['three', 4],
    ['scalar', 5],
  ] as const)
    await h.ready(id, version);
});
afterAll(() => h.stop());

const infer = (request: InferInit) => h.clients.inference.modelInfer(request);
const three = (contents: object[]) => ({
  modelName: 'three',
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [1n, 1n], contents: contents[0] },
    { name: 'flag', datatype: 'BOOL', shape: [1n, 1n], contents: contents[1] },
    { name: 'small', datatype: 'INT8', shape: [1n, 1n], contents: contents[2] },
  ],
});

describe('Open Inference Protocol', () => {
  it('tells about the server and its models', async () => {
    const { inference } = h.clients;
    expect((await inference.serverLive({})).live).toBe(true);
    expect((await inference.serverReady({})).ready).toBe(true);
    expect((await inference.modelReady({ name: 'linear' })).ready).toBe(true);
    expect((await inference.modelReady({ name: 'linear', version: '9' })).ready).toBe(false);
    await expect(inference.modelReady({ name: 'nobody' })).rejects.toMatchObject({ kind: 'not_found' });
    expect(await inference.serverMetadata({})).toMatchObject({ name: 'millrace' });
    expect(await inference.modelMetadata({ name: 'default/linear' })).toMatchObject({
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1n, 2n] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1n, 1n] }],
    });
  });

  it('answers raw, echoes the id and names the version', async () => {
    const answer = await infer(
      rowsOf(
        'linear',
        [
          [1, 2],
          [3, 4],
        ],
        { id: 'abc' },
      ),
    );
    expect(floatsOf(answer)).toEqual([21.5, 43.5]);
    expect(answer).toMatchObject({ id: 'abc', modelName: 'linear', modelVersion: '1' });
    expect(answer.outputs).toMatchObject([{ name: 'y', datatype: 'FP32', shape: [2n, 1n] }]);
    expect(answer.outputs[0]?.contents).toBeUndefined();
  });

  it('takes typed contents and still answers raw, unless asked otherwise', async () => {
    const typed = three([{ fp32Contents: [1.5] }, { boolContents: [true] }, { intContents: [-7] }]);
    const raw = await infer(typed);
    expect(raw.rawOutputContents.map((bytes) => [...bytes])).toEqual([[...raw32(1.5)], [1], [249]]);
    const parameters = {
      binary_data_output: { parameterChoice: { case: 'boolParam' as const, value: false } },
    };
    const asked = await infer({ ...typed, parameters });
    expect(asked.rawOutputContents).toEqual([]);
    expect(asked.outputs.map((output) => output.contents)).toMatchObject([
      { fp32Contents: [1.5] },
      { boolContents: [true] },
      { intContents: [-7] },
    ]);
  });

  it('gives the outputs asked for, in the order asked for', async () => {
    const typed = three([{ fp32Contents: [1] }, { boolContents: [false] }, { intContents: [2] }]);
    const answer = await infer({ ...typed, outputs: [{ name: 's' }, { name: 'y' }] });
    expect(answer.outputs.map((output) => output.name)).toEqual(['s', 'y']);
  });

  it('carries texts, half floats, scalars and empty tensors', async () => {
    const bytesContents = ['', 'é', '漢字'].map((text) => new TextEncoder().encode(text));
    const texts = await infer({
      modelName: 'texts',
      inputs: [{ name: 'x', datatype: 'BYTES', shape: [3n], contents: { bytesContents } }],
    });
    const again = await infer({
      modelName: 'texts',
      inputs: [{ name: 'x', datatype: 'BYTES', shape: [3n] }],
      rawInputContents: texts.rawOutputContents,
    });
    expect(again.rawOutputContents).toEqual(texts.rawOutputContents);
    const half = Uint8Array.of(0, 0x3c, 0, 0xc0);
    const halves = await infer({
      modelName: 'half',
      inputs: [{ name: 'x', datatype: 'FP16', shape: [1n, 2n] }],
      rawInputContents: [half],
    });
    expect([...halves.rawOutputContents[0]!]).toEqual([...half]);
    const scalar = await infer({
      modelName: 'scalar',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [], contents: { fp32Contents: [7] } }],
    });
    expect(scalar.outputs[0]?.shape).toEqual([]);
    const empty = await infer({
      modelName: 'linear',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [0n, 2n] }],
      rawInputContents: [new Uint8Array(0)],
    });
    expect(empty.outputs[0]?.shape).toEqual([0n, 1n]);
  });

  const x = (datatype: string, shape: bigint[]) => ({ name: 'x', datatype, shape });
  const texts = (bytes: number[], count: bigint): InferInit => ({
    modelName: 'texts',
    inputs: [x('BYTES', [count])],
    rawInputContents: [Uint8Array.from(bytes)],
  });
  const refused: readonly (readonly [string, InferInit])[] = [
    [
      'raw and typed contents together',
      {
        modelName: 'linear',
        inputs: [{ ...x('FP32', [1n, 2n]), contents: { fp32Contents: [1, 2] } }],
        rawInputContents: [raw32(1, 2)],
      },
    ],
    ['fewer raw buffers than inputs', { ...three([{}, {}, {}]), rawInputContents: [raw32(1)] }],
    [
      'a buffer of another size',
      { modelName: 'linear', inputs: [x('FP32', [1n, 2n])], rawInputContents: [raw32(1)] },
    ],
    [
      'a negative dimension',
      { modelName: 'linear', inputs: [x('FP32', [-1n, 2n])], rawInputContents: [raw32()] },
    ],
    [
      'dimensions that overflow',
      { modelName: 'linear', inputs: [x('FP32', [2n ** 62n, 4n])], rawInputContents: [raw32()] },
    ],
    [
      'dimensions whose product overflows',
      {
        modelName: 'linear',
        inputs: [x('FP32', [2n ** 31n - 1n, 2n ** 31n - 1n])],
        rawInputContents: [raw32()],
      },
    ],
    [
      'an input twice',
      {
        modelName: 'linear',
        inputs: [x('FP32', [1n, 2n]), x('FP32', [1n, 2n])],
        rawInputContents: [raw32(1, 2), raw32(1, 2)],
      },
    ],
    ['an output twice', rowsOf('linear', [[1, 2]], { outputs: [{ name: 'y' }, { name: 'y' }] })],
    ['an unknown output', rowsOf('linear', [[1, 2]], { outputs: [{ name: 'z' }] })],
    ['a missing input', { modelName: 'linear' }],
    [
      'an unknown input',
      {
        modelName: 'linear',
        inputs: [x('FP32', [1n, 2n]), { ...x('FP32', [1n]), name: 'z' }],
        rawInputContents: [raw32(1, 2), raw32(1)],
      },
    ],
    [
      'another data type',
      { modelName: 'linear', inputs: [x('FP64', [1n, 2n])], rawInputContents: [new Uint8Array(16)] },
    ],
    [
      'an unknown data type',
      { modelName: 'linear', inputs: [x('BF16', [1n, 2n])], rawInputContents: [new Uint8Array(4)] },
    ],
    ['another rank', { modelName: 'linear', inputs: [x('FP32', [2n])], rawInputContents: [raw32(1, 2)] }],
    [
      'another width',
      { modelName: 'linear', inputs: [x('FP32', [1n, 3n])], rawInputContents: [raw32(1, 2, 3)] },
    ],
    [
      'FP16 as typed contents',
      { modelName: 'half', inputs: [{ ...x('FP16', [1n, 2n]), contents: { fp32Contents: [1, 2] } }] },
    ],
    [
      'the list of another type',
      three([{ fp64Contents: [1] }, { boolContents: [true] }, { intContents: [1] }]),
    ],
    [
      'a number that does not fit',
      three([{ fp32Contents: [1] }, { boolContents: [true] }, { intContents: [128] }]),
    ],
    [
      'fewer elements than the shape says',
      three([{ fp32Contents: [] }, { boolContents: [true] }, { intContents: [1] }]),
    ],
    [
      'a BOOL that is neither 0 nor 1',
      {
        ...three([]),
        inputs: three([]).inputs.map(({ contents: _, ...input }) => input),
        rawInputContents: [raw32(1), Uint8Array.of(2), Uint8Array.of(1)],
      } as InferInit,
    ],
    [
      'different rows in the inputs',
      {
        modelName: 'three',
        inputs: [
          x('FP32', [2n, 1n]),
          { ...x('BOOL', [1n, 1n]), name: 'flag' },
          { ...x('INT8', [1n, 1n]), name: 'small' },
        ],
        rawInputContents: [raw32(1, 2), Uint8Array.of(1), Uint8Array.of(1)],
      },
    ],
    ['a truncated length prefix', texts([1, 0, 0], 1n)],
    ['a huge length prefix', texts([255, 255, 255, 127, 65], 1n)],
    ['bytes behind the last element', texts([1, 0, 0, 0, 65, 66], 1n)],
    ['a count that no buffer could hold', texts([0, 0, 0, 0], 2n ** 31n - 1n)],
    ['NUL in a text', texts([1, 0, 0, 0, 0], 1n)],
    ['text that is not UTF-8', texts([1, 0, 0, 0, 255], 1n)],
    [
      'an event time that is no number',
      rowsOf('linear', [[1, 2]], {
        parameters: { event_time_ms: { parameterChoice: { case: 'stringParam', value: 'now' } } },
      }),
    ],
    ['an id that is too long', rowsOf('linear', [[1, 2]], { id: 'a'.repeat(300) })],
  ];
  it.each(refused)('row 14: refuses %s', async (_, request) => {
    await expect(infer(request)).rejects.toMatchObject({ kind: 'invalid_argument' });
  });

  it('knows no other models and versions', async () => {
    await expect(infer(rowsOf('nobody', [[1, 2]]))).rejects.toMatchObject({ kind: 'not_found' });
    await expect(infer(rowsOf('linear', [[1, 2]], { modelVersion: '7' }))).rejects.toMatchObject({
      kind: 'not_found',
    });
    await expect(infer(rowsOf('../linear', [[1, 2]]))).rejects.toMatchObject({ kind: 'not_found' });
    await expect(infer(rowsOf('__proto__', [[1, 2]]))).rejects.toMatchObject({ kind: 'not_found' });
  });

  it('row 14: answers no fuzzed request with a defect', async () => {
    const dim = fc.oneof(fc.bigInt(-2n, 4n), fc.constantFrom(2n ** 31n, 2n ** 62n, -(2n ** 63n)));
    const input = fc.record({
      name: fc.constantFrom('x', 'flag', 'small', '', '__proto__'),
      datatype: fc.constantFrom('FP32', 'BOOL', 'INT8', 'BYTES', 'FP16', 'fp32', ''),
      shape: fc.array(dim, { maxLength: 4 }),
      contents: fc.option(
        fc.record({
          fp32Contents: fc.array(fc.float(), { maxLength: 4 }),
          intContents: fc.array(fc.integer(), { maxLength: 4 }),
          bytesContents: fc.array(fc.uint8Array({ maxLength: 6 }), { maxLength: 3 }),
        }),
        { nil: undefined },
      ),
    });
    const request = fc.record({
      modelName: fc.constantFrom('linear', 'texts', 'half', 'three', 'scalar'),
      inputs: fc.array(input, { maxLength: 4 }),
      rawInputContents: fc.array(fc.uint8Array({ maxLength: 24 }), { maxLength: 4 }),
      outputs: fc.array(fc.record({ name: fc.constantFrom('y', 'g', '', 'x') }), { maxLength: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(request, async (init) => {
        const kind = await infer(init as InferInit).then(
          () => 'ok',
          (error: { kind: string }) => error.kind,
        );
        expect(['ok', 'invalid_argument']).toContain(kind);
      }),
      { numRuns: 400 },
    );
  });

  it('streams: answers in order, and the first failure ends the stream', async () => {
    const requests = async function* () {
      for (let i = 0; i < 200; i++) yield rowsOf('linear', [[i, 0]], { id: `s${i}` });
    };
    const ids: string[] = [];
    for await (const answer of h.clients.inference.modelStreamInfer(requests())) {
      expect(floatsOf(answer)).toEqual([Number(answer.id.slice(1)) + 0.5]);
      ids.push(answer.id);
    }
    expect(ids).toEqual(Array.from({ length: 200 }, (_, i) => `s${i}`));
    const bad = async function* () {
      yield rowsOf('linear', [[1, 0]], { id: 'good' });
      yield rowsOf('nobody', [[1, 0]], { id: 'bad' });
    };
    const seen: string[] = [];
    const read = async () => {
      for await (const answer of h.clients.inference.modelStreamInfer(bad())) seen.push(answer.id);
    };
    await expect(read()).rejects.toMatchObject({ kind: 'not_found' });
    expect(seen).toEqual(['good']);
  });

  it('answers each of many concurrent requests as it would alone', async () => {
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => {
        const rows = Array.from({ length: 1 + (i % 5) }, (__, r) => [i, r]);
        return infer(rowsOf('linear', rows)).then((answer) => ({ rows, answer }));
      }),
    );
    for (const { rows, answer } of answers)
      expect(floatsOf(answer)).toEqual(rows.map(([a = 0, b = 0]) => Math.fround(a + 10 * b + 0.5)));
  });

  it('refuses what is too large, and more than it can hold, and asks to come again', async () => {
    const rows = Array.from({ length: 200 }, (_, i) => [i, i]);
    const small = await startHarness({ MAX_REQUEST_BYTES: '2000', MAX_PENDING_BYTES: '3000' });
    small.addVersion(1, linearModel([1, 10], 0.5));
    await small.moveAlias('champion', 1);
    await small.deploy('linear');
    await small.ready('linear', 1);
    const ask = (request: InferInit) => small.clients.inference.modelInfer(request);
    expect(floatsOf(await ask(rowsOf('linear', rows)))).toHaveLength(200);
    await expect(ask(rowsOf('linear', [...rows, ...rows]))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    const many = await Promise.allSettled(Array.from({ length: 30 }, () => ask(rowsOf('linear', rows))));
    const refused = many.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(30);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 200 });
    await small.stop();
  }, 30_000);

  it('lists the repository, and loads and unloads on request', async () => {
    const { inference } = h.clients;
    const index = await inference.repositoryIndex({});
    expect(index.models.map(({ name, version, state }) => [name, version, state])).toContainEqual([
      'linear',
      '1',
      'READY',
    ]);
    await inference.repositoryModelUnload({ modelName: 'scalar' });
    expect((await inference.modelReady({ name: 'scalar' })).ready).toBe(false);
    await expect(infer({ modelName: 'scalar' })).rejects.toMatchObject({ kind: 'unavailable' });
    await inference.repositoryModelLoad({ modelName: 'scalar' });
    expect((await inference.modelReady({ name: 'scalar' })).ready).toBe(true);
    await expect(inference.repositoryModelLoad({ modelName: 'nobody' })).rejects.toMatchObject({
      kind: 'not_found',
    });
  });
});
