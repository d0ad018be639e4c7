import { create } from '@bufbuild/protobuf';
import type { BlobStore } from '@millrace/blobs';
import { AttributeProtoSchema, GraphProtoSchema } from '@millrace/contracts/onnx';
import { ModelVersionState as State } from '@millrace/contracts/registry';
import { newId } from '@millrace/documents';
import { createModel, defaultLimits, type ModelSpec, node, tensor, writeModel } from '@millrace/onnx';
import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newLine } from '../src/domain/line.ts';
import { createExaminer } from '../src/examination/examiner.ts';
import { register } from '../src/flows/registration.ts';
import { jobs } from '../src/jobs.ts';
import { modelWithVersions, openRegistry, type RunningRegistry, startRegistry, upload } from './running.ts';

let registry: RunningRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.stop());

const port = (name: string) => ({ name, type: 'float32', shape: ['rows', 2] }) as const;
const spec: ModelSpec = {
  inputs: [port('x')],
  outputs: [port('y')],
  nodes: [node('Add', ['x', 'one'], ['y'])],
  initializers: [tensor('one', 'float32', [1], [1])],
};
const small = writeModel(createModel(spec));
/** So many bytes of weights that a file goes to the worker thread. */
const weights = tensor('weights', 'float32', [40_000], new Float32Array(40_000));
const large = writeModel(createModel({ ...spec, initializers: [...(spec.initializers ?? []), weights] }));

/** Uploads a file, which must be judged, and READY or REJECTED with reasons; answers these. */
async function judged(parent: string, bytes: Uint8Array): Promise<readonly string[]> {
  const { modelVersion } = await registry.models.uploadModelVersion(upload({ parent }, bytes));
  const { state, stateReasons } = modelVersion!;
  expect([State.READY, State.REJECTED]).toContain(state);
  expect(stateReasons.length > 0).toBe(state === State.REJECTED);
  return stateReasons;
}

describe('an upload is judged, whatever its bytes are', () => {
  // Where the file is not its weights: at its begin and at its end.
  const place = fc.integer({ min: -160, max: 120 });
  const mutated = fc
    .record({
      seed: fc.constantFrom(large, large, small),
      writes: fc.array(fc.tuple(place, fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      cut: fc.tuple(place, fc.nat({ max: 8 })),
      insert: fc.tuple(place, fc.uint8Array({ maxLength: 12 })),
    })
    .map(({ seed, writes, cut, insert }) => {
      const at = (where: number) => (where + seed.length) % seed.length;
      const bytes = Uint8Array.from(seed);
      for (const [where, byte] of writes) bytes[at(where)] = byte;
      const [from, until] = [at(cut[0]), Math.min(at(cut[0]) + cut[1], seed.length)];
      const less = Buffer.concat([bytes.subarray(0, from), bytes.subarray(until)]);
      return Buffer.concat([less.subarray(0, at(insert[0])), insert[1], less.subarray(at(insert[0]))]);
    });

  it('mutated models, in the worker thread and beside it', async () => {
    const parent = await modelWithVersions(registry, 'mutants', 0);
    expect(await judged(parent, large)).toEqual([]);
    const verdicts = fc.asyncProperty(mutated, async (bytes) => void (await judged(parent, bytes)));
    await fc.assert(verdicts, { numRuns: 60, interruptAfterTimeLimit: 4000 });
  });

  it('a node of more graphs than a call has room for arguments', async () => {
    const parent = await modelWithVersions(registry, 'graphs', 0);
    const crowded = node('Add', ['x', 'one'], ['y'], {
      g: (name) =>
        create(AttributeProtoSchema, { name, graphs: new Array(700_000).fill(create(GraphProtoSchema)) }),
    });
    expect(await judged(parent, writeModel(createModel({ ...spec, nodes: [crowded] })))).toEqual([]);
  });

  it('a dimension that the contract cannot carry', async () => {
    const parent = await modelWithVersions(registry, 'dimensions', 0);
    const model = createModel({ ...spec, inputs: [{ name: 'x', type: 'float32', shape: [0, 1] }] });
    const type = model.graph?.input[0]?.type?.value;
    // The greatest number of the file is one more once it is a double.
    if (type?.case === 'tensorType')
      type.value.shape!.dim[1]!.value = { case: 'dimValue', value: 2n ** 63n - 1n };
    expect(await judged(parent, writeModel(model))).toEqual([
      'BAD_SHAPE: input "x" has an impossible shape [0, 9223372036854775807]',
    ]);
  });

  it('inputs that no request can carry', async () => {
    const parent = await modelWithVersions(registry, 'wide', 0);
    const inputs = [{ name: 'x', type: 'string', shape: [2_000_000_000] }] as const;
    const [reason] = await judged(parent, writeModel(createModel({ ...spec, inputs })));
    expect(reason).toContain('TOO_LARGE: its inputs take at least 8000000000 bytes');
  });
});

describe('an examination that fails', () => {
  const opened = async () => {
    const folder = tempDir();
    let later = 0;
    const inside = await openRegistry(folder.path, () => Date.now() + later);
    await inside.store.lines.insert('p/m', newLine('p', 'm'));
    return {
      inside,
      passLeftBehind: () => (later = 60_000),
      close: async () => {
        await inside.store.documents.close();
        await folder.remove();
      },
    };
  };
  const origin = { sourceRun: '', trainingSet: '', pipelineRun: '', description: '', tags: [] };
  const ref = { project: 'p', model: 'm' };

  it.each([
    ['on the spot', small],
    ['in the worker thread', large],
  ])('%s by a fault of its own refuses the file, and does not leave it PENDING', async (_where, bytes) => {
    const { inside, close } = await opened();
    const examiner = createExaminer(inside.blobs, { ...defaultLimits, domains: null as never });
    const blob = await inside.blobs.put(bytes);
    const { doc } = await register({ ...inside, examiner }, ref, { ...blob, ...origin }, newId());
    expect(doc).toMatchObject({
      state: 'REJECTED',
      reasons: ['UNCHECKED: it could not be checked to its end, so nobody knows whether it is safe'],
    });
    await close();
  });

  it.each([
    ['on the spot', small],
    ['in the worker thread', large],
  ])('%s because the store is away is tried again', async (_where, bytes) => {
    const { inside, passLeftBehind, close } = await opened();
    const away = async () => Promise.reject(new Error('the store is away'));
    const store: BlobStore = { ...inside.blobs, bytes: away, localPath: async () => '/nowhere' };
    const examiner = createExaminer(store, defaultLimits);
    const blob = await inside.blobs.put(bytes);
    const key = newId();
    await expect(register({ ...inside, examiner }, ref, { ...blob, ...origin }, key)).rejects.toThrow();
    const stored = async () => (await inside.store.versions.find({ limit: 1 })).items[0]?.doc.state;
    expect(await stored()).toBe('PENDING');
    passLeftBehind();
    const [finish] = jobs(inside, 1000);
    await finish?.run(new AbortController().signal);
    expect(await stored()).toBe('READY');
    await close();
  });
});
