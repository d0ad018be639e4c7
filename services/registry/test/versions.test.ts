import { AliasMoveCause, ModelVersionState as State } from '@millrace/contracts/registry';
import { createModel, node, tensor, writeModel } from '@millrace/onnx';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  digestOf,
  modelFile,
  modelWithVersions,
  project,
  type RunningRegistry,
  startRegistry,
  upload,
} from './running.ts';

let registry: RunningRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.stop());

const text = (s: string) => new TextEncoder().encode(s);

async function download(name: string, offset = 0n): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const { payload } of registry.models.downloadModelVersion({ name, offset }))
    if (payload.case === 'chunk') parts.push(payload.value);
  return Buffer.concat(parts);
}

describe('models', () => {
  it('are created, read, changed and listed by name, whatever they are called', async () => {
    const { models } = registry;
    const { model } = await models.createModel({
      parent: project,
      modelId: 'späte Flüge/v1 ✈',
      model: {
        description: 'late flights',
        tags: [
          { key: 'team', value: 'a' },
          { key: 'team', value: 'b' },
        ],
      },
    });
    expect(model).toMatchObject({
      description: 'late flights',
      latestVersion: 0,
      tags: [{ key: 'team', value: 'b' }],
    });
    const name = model!.name;
    expect((await models.getModel({ name })).model?.etag).toBe(model!.etag);
    const changed = await models.updateModel({
      model: { name, description: 'x', etag: model!.etag },
      updateMask: { paths: ['description'] },
    });
    expect(changed.model).toMatchObject({ description: 'x', tags: [{ key: 'team', value: 'b' }] });
    await expect(
      models.updateModel({ model: { name, description: 'y', etag: model!.etag } }),
    ).rejects.toMatchObject({ kind: 'aborted', code: 'VERSION_CONFLICT' });
    await models.createModel({ parent: 'projects/lists', modelId: 'b' });
    await models.createModel({ parent: 'projects/lists', modelId: 'a' });
    const first = await models.listModels({ parent: 'projects/lists', pageSize: 1 });
    const second = await models.listModels({
      parent: 'projects/lists',
      pageSize: 1_000_000, // more than there ever is on a page means the most
      pageToken: first.nextPageToken,
    });
    expect([first, second].map((page) => page.models[0]?.name)).toEqual([
      'projects/lists/models/a',
      'projects/lists/models/b',
    ]);
    expect(second.nextPageToken).toBe('');
  });

  it('may carry the most and longest tags and descriptions there can be', async () => {
    const tags = Array.from({ length: 100 }, (_, i) => ({
      key: `${i}`.padEnd(256, '飛'),
      value: '飛'.repeat(8192),
    }));
    const wording = { description: '飛'.repeat(65_536), tags };
    for (const [half, kept] of [
      [tags.slice(0, 50), 50],
      [tags.slice(50), 50],
    ] as const) {
      const modelId = `tagged ${half[0]?.key.slice(0, 2)}`;
      const { model } = await registry.models.createModel({
        parent: project,
        modelId,
        model: { ...wording, tags: half },
      });
      expect(model?.tags.length).toBe(kept);
      const header = { parent: model!.name, modelVersion: { description: wording.description, tags: half } };
      const { modelVersion } = await registry.models.uploadModelVersion(upload(header, modelFile()));
      expect(modelVersion?.tags.length).toBe(kept);
    }
  });

  it('are created once for each request id', async () => {
    const request = { parent: project, modelId: 'once', requestId: 'create-once' };
    const first = await registry.models.createModel(request);
    expect(await registry.models.createModel(request)).toEqual(first);
    await expect(registry.models.createModel({ ...request, modelId: 'twice' })).rejects.toMatchObject({
      code: 'REQUEST_ID_REUSED',
    });
    await expect(registry.models.createModel({ parent: project, modelId: 'once' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
  });

  it('are deleted with their versions only by force, and number on when created again', async () => {
    const name = await modelWithVersions(registry, 'gone', 2);
    await expect(registry.models.deleteModel({ name })).rejects.toMatchObject({ code: 'MODEL_HAS_VERSIONS' });
    await registry.models.deleteModel({ name, force: true });
    await expect(registry.models.getModel({ name })).rejects.toMatchObject({ kind: 'not_found' });
    await expect(registry.models.getModelVersion({ name: `${name}/versions/1` })).rejects.toMatchObject({
      kind: 'not_found',
    });
    await registry.models.createModel({ parent: project, modelId: 'gone' });
    const { modelVersion } = await registry.models.uploadModelVersion(upload({ parent: name }, modelFile()));
    expect(modelVersion).toMatchObject({ version: 3, state: State.READY });
  });
});

describe('an upload', () => {
  it('becomes READY with the signature and details of its file, and comes back as it went', async () => {
    const { model } = await registry.models.createModel({ parent: project, modelId: 'delays' });
    const parent = model!.name;
    const bytes = modelFile(0.125);
    const run = `${project}/runs/${'0'.repeat(31)}1`;
    const header = {
      parent,
      digest: digestOf(bytes),
      modelVersion: { description: 'first', sourceRun: run },
    };
    const { modelVersion } = await registry.models.uploadModelVersion(upload(header, bytes));
    expect(modelVersion).toMatchObject({
      name: `${parent}/versions/1`,
      state: State.READY,
      stateReasons: [],
      description: 'first',
      sourceRun: run,
      digest: digestOf(bytes),
      sizeBytes: BigInt(bytes.length),
      signature: {
        inputs: [{ name: 'x', shape: [-1n, 2n] }],
        outputs: [{ name: 'probability', shape: [-1n, 1n] }],
      },
      onnx: { irVersion: 8n, producer: 'millrace', operators: ['Gemm', 'Sigmoid'] },
    });
    expect(Buffer.compare(await download(modelVersion!.name), bytes)).toBe(0);
    expect(Buffer.compare(await download(modelVersion!.name, 10n), bytes.subarray(10))).toBe(0);
    expect((await download(modelVersion!.name, BigInt(bytes.length))).length).toBe(0);
    await expect(download(modelVersion!.name, BigInt(bytes.length + 1))).rejects.toMatchObject({
      kind: 'invalid_argument',
    });
  });

  it.each([
    ['a pickle', Uint8Array.of(0x80, 4, 0x95, 0), 'NOT_ONNX: it is a Python pickle'],
    ['a ZIP archive', Uint8Array.of(0x50, 0x4b, 3, 4), 'NOT_ONNX: it is a ZIP archive'],
    ['nothing', new Uint8Array(), 'EMPTY: the file is empty'],
    ['text', text('this is not a model'), 'MALFORMED: '],
    ['a truncated model', modelFile().subarray(0, 80), 'MALFORMED: '],
  ])('of %s becomes REJECTED with the reason', async (what, bytes, reason) => {
    const { model } = await registry.models.createModel({ parent: project, modelId: `rejected ${what}` });
    const { modelVersion } = await registry.models.uploadModelVersion(upload({ parent: model!.name }, bytes));
    expect(modelVersion?.state).toBe(State.REJECTED);
    expect(modelVersion?.stateReasons[0]).toContain(reason);
    const name = `${model!.name}/aliases/champion`;
    await expect(registry.models.setAlias({ name, version: 1 })).rejects.toMatchObject({
      kind: 'failed_precondition',
    });
    const { decision, moved } = await registry.models.promoteVersion({
      name: modelVersion!.name,
      alias: 'champion',
    });
    expect({ moved, reason: decision?.reason }).toEqual({ moved: false, reason: 'version 1 is not READY' });
  });

  it('is the same version for the same request id and bytes, also when both come at once, and refused with others', async () => {
    const parent = await modelWithVersions(registry, 'idempotent', 0);
    const header = { parent, requestId: 'upload-1' };
    const both = await Promise.all(
      [1, 2].map(() => registry.models.uploadModelVersion(upload(header, modelFile(1)))),
    );
    const again = await registry.models.uploadModelVersion(upload(header, modelFile(1)));
    expect([...both, again].map((answer) => answer.modelVersion?.version)).toEqual([1, 1, 1]);
    await expect(registry.models.uploadModelVersion(upload(header, modelFile(2)))).rejects.toMatchObject({
      code: 'REQUEST_ID_REUSED',
    });
  });

  it.each<[string, () => AsyncIterable<never> | AsyncIterable<object>, object]>([
    ['nothing', async function* () {}, { code: 'INVALID_FIELD' }],
    [
      'no header',
      async function* () {
        yield { payload: { case: 'chunk', value: text('x') } };
      },
      { code: 'INVALID_FIELD' },
    ],
    [
      'a wrong digest',
      () => upload({ parent: `${project}/models/delays`, digest: digestOf(text('other')) }, modelFile()),
      { kind: 'invalid_argument', code: 'DIGEST_MISMATCH' },
    ],
    [
      'a model that does not exist',
      () => upload({ parent: `${project}/models/none` }, modelFile()),
      { kind: 'not_found' },
    ],
    [
      'a run of another project',
      () =>
        upload(
          { parent: `${project}/models/delays`, modelVersion: { sourceRun: 'projects/other/runs/1' } },
          modelFile(),
        ),
      { kind: 'invalid_argument' },
    ],
    [
      'a path for a run',
      () =>
        upload(
          { parent: `${project}/models/delays`, modelVersion: { sourceRun: 'file:///etc/passwd' } },
          modelFile(),
        ),
      { kind: 'invalid_argument' },
    ],
    [
      'two headers',
      async function* () {
        yield* upload({ parent: `${project}/models/delays` }, text(''));
        yield* upload({ parent: `${project}/models/delays` }, text(''));
      },
      { kind: 'invalid_argument' },
    ],
  ])('of %s is refused', async (_what, messages, error) => {
    await expect(
      registry.models.uploadModelVersion(messages() as AsyncIterable<never>),
    ).rejects.toMatchObject(error);
  });

  it('of a large file is examined away from the calls, with the same answer', {
    timeout: 30_000,
  }, async () => {
    const parent = await modelWithVersions(registry, 'large', 0);
    const weights = tensor('w', 'float32', [300, 300], new Float32Array(90_000));
    const value = (name: string) => ({ name, type: 'float32', shape: ['rows', 300] }) as const;
    const spec = {
      inputs: [value('x')],
      outputs: [value('y')],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [weights],
    };
    const good = await registry.models.uploadModelVersion(upload({ parent }, writeModel(createModel(spec))));
    expect(good.modelVersion).toMatchObject({ state: State.READY, onnx: { initializerBytes: 360_000n } });
    const twice = writeModel(createModel({ ...spec, initializers: [weights, weights] }));
    const bad = await registry.models.uploadModelVersion(upload({ parent }, twice));
    expect(bad.modelVersion?.stateReasons).toEqual(['DUPLICATE_NAME: two weights are named "w"']);
  });

  it('larger than the limit is refused', async () => {
    const small = await startRegistry({ MAX_MODEL_BYTES: '2048' });
    try {
      const parent = await modelWithVersions(small, 'm', 0);
      await expect(
        small.models.uploadModelVersion(upload({ parent }, new Uint8Array(5000))),
      ).rejects.toMatchObject({ code: 'TOO_LARGE' });
    } finally {
      await small.stop();
    }
  });
});

describe('registering by digest', () => {
  it('takes bytes the project has, and none of another project', async () => {
    await modelWithVersions(registry, 'original', 1);
    const parent = await modelWithVersions(registry, 'copy', 0);
    const digest = digestOf(modelFile(1));
    const { modelVersion } = await registry.models.createModelVersion({ parent, digest });
    expect(modelVersion).toMatchObject({ version: 1, state: State.READY, digest });
    const other = await registry.models.createModel({ parent: 'projects/other', modelId: 'm' });
    await expect(
      registry.models.createModelVersion({ parent: other.model!.name, digest }),
    ).rejects.toMatchObject({ kind: 'not_found' });
  });
});

describe('versions', () => {
  it('are listed newest first, by state, and without the deleted ones', async () => {
    const parent = await modelWithVersions(registry, 'listed', 3);
    await registry.models.uploadModelVersion(upload({ parent }, text('bad')));
    await registry.models.deleteModelVersion({ name: `${parent}/versions/2` });
    const list = async (state?: State) =>
      (await registry.models.listModelVersions({ parent, ...(state ? { state } : {}) })).modelVersions.map(
        (row) => row.version,
      );
    expect(await list()).toEqual([4, 3, 1]);
    expect(await list(State.READY)).toEqual([3, 1]);
    expect(await list(State.REJECTED)).toEqual([4]);
    expect(await list(State.DELETED)).toEqual([2]);
    const page = await registry.models.listModelVersions({ parent, pageSize: 2 });
    const rest = await registry.models.listModelVersions({
      parent,
      pageSize: 2,
      pageToken: page.nextPageToken,
    });
    expect(rest.modelVersions.map((row) => row.version)).toEqual([1]);
  });

  it('are read by alias, and keep their description and tags current', async () => {
    const parent = await modelWithVersions(registry, 'aliased', 2);
    await registry.models.setAlias({ name: `${parent}/aliases/champion`, version: 2 });
    const { modelVersion } = await registry.models.getModelVersion({ name: `${parent}/versions/champion` });
    expect(modelVersion).toMatchObject({ version: 2, aliases: ['champion'] });
    const update = { name: modelVersion!.name, tags: [{ key: 'k', value: 'v' }] };
    const changed = await registry.models.updateModelVersion({
      modelVersion: update,
      updateMask: { paths: ['tags'] },
    });
    expect(changed.modelVersion?.tags).toMatchObject([{ key: 'k', value: 'v' }]);
    await expect(registry.models.deleteModelVersion({ name: modelVersion!.name })).rejects.toMatchObject({
      code: 'VERSION_ALIASED',
    });
    await expect(
      registry.models.getModelVersion({ name: `${parent}/versions/canary` }),
    ).rejects.toMatchObject({ kind: 'not_found' });
  });
});

describe('aliases', () => {
  it('are set, rolled back and removed, and keep their history', async () => {
    const parent = await modelWithVersions(registry, 'history', 3);
    const name = `${parent}/aliases/champion`;
    for (const version of [1, 2, 3])
      await registry.models.setAlias({ name, version, comment: `to ${version}` });
    const back = await registry.models.rollbackAlias({ name, expectedRevision: 3n });
    expect(back.alias).toMatchObject({ modelVersion: `${parent}/versions/2`, revision: 4n });
    await expect(registry.models.rollbackAlias({ name, expectedRevision: 3n })).rejects.toMatchObject({
      kind: 'aborted',
    });
    await registry.models.removeAlias({ name });
    expect((await registry.models.getAlias({ name })).alias).toMatchObject({
      modelVersion: '',
      revision: 5n,
    });
    expect((await registry.models.listAliases({ parent })).aliases).toEqual([]);
    const first = await registry.models.listAliasMoves({ name, pageSize: 3 });
    const second = await registry.models.listAliasMoves({
      name,
      pageSize: 3,
      pageToken: first.nextPageToken,
    });
    const causes = [...first.moves, ...second.moves].map((move) => move.cause);
    const { REMOVED, ROLLED_BACK, SET } = AliasMoveCause;
    expect(causes).toEqual([REMOVED, ROLLED_BACK, SET, SET, SET]);
    expect(second.nextPageToken).toBe('');
    expect(second.moves.at(-1)).toMatchObject({ comment: 'to 1', previousModelVersion: '' });
  });
});

describe('watching a model', () => {
  it('begins with the model and tells each change with what it is by then', async () => {
    const parent = await modelWithVersions(registry, 'watched', 1);
    const seen: string[] = [];
    const changes = (async () => {
      for await (const change of registry.models.watchModel({ name: parent })) {
        seen.push(`${change.eventType.replace(/^millrace\.registry\./, '')} ${change.subject.case}`);
        if (seen.length === 1) {
          await registry.models.setAlias({ name: `${parent}/aliases/champion`, version: 1 });
          await registry.models.removeAlias({ name: `${parent}/aliases/champion` });
          await registry.models.deleteModel({ name: parent, force: true });
        }
      }
    })();
    await changes;
    expect(seen.map((line) => line.split(' ')[0])).toEqual([
      '',
      'alias.moved.v1',
      'alias.removed.v1',
      'model_version.deleted.v1',
      'model.deleted.v1',
    ]);
    expect(seen[0]).toBe(' model');
  });
});
