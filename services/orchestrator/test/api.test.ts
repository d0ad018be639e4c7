import type { ValueSchema } from '@bufbuild/protobuf/wkt';
import { OutputKind, ParameterType } from '@millrace/contracts/pipelines';
import { startNats, type TempDir, type TestNats, tempDir } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Init } from '../src/convert/value.ts';
import { finished, js, launch, number, quick, startHere } from './orchestrator.ts';

let nats: TestNats;
let folder: TempDir;
let at: Awaited<ReturnType<typeof startHere>>;
const parent = 'projects/default';
const name = `${parent}/pipelines/p`;
beforeAll(async () => {
  nats = await startNats();
  folder = tempDir();
  at = await startHere({ DATA_DIR: folder.path, NATS_URL: nats.url });
});
afterAll(async () => {
  await at?.stop();
  await nats?.stop();
  await folder?.remove();
});

describe('pipelines', () => {
  test('get a new version when, and only when, the specification changed', async () => {
    const apply = (spec: object, description = '') =>
      at.pipelines.applyPipeline({ pipeline: { name, spec, description } });
    const first = await apply({ steps: [quick('a')] });
    expect([first.changed, first.pipeline?.version]).toEqual([true, 1]);
    // What is left out is its default: the same specification, said otherwise.
    const same = await apply({ steps: [quick('a', { timeout: { seconds: 86_400n } })] }, 'described');
    expect([same.changed, same.pipeline?.version, same.pipeline?.description]).toEqual([
      false,
      1,
      'described',
    ]);
    const second = await apply({ steps: [quick('a'), quick('b')] });
    const third = await apply({ steps: [quick('c')] });
    expect([second.pipeline?.version, third.pipeline?.version]).toEqual([2, 3]);
    const { pipelineVersions } = await at.pipelines.listPipelineVersions({ parent: name });
    expect(pipelineVersions.map((v) => [v.version, v.spec?.steps.map((s) => s.name).join()])).toEqual([
      [3, 'c'],
      [2, 'a,b'],
      [1, 'a'],
    ]);
    const one = await at.pipelines.listPipelineVersions({ parent: name, pageSize: 2 });
    const two = await at.pipelines.listPipelineVersions({
      parent: name,
      pageSize: 2,
      pageToken: one.nextPageToken,
    });
    expect([one, two].map((page) => page.pipelineVersions.map((v) => v.version))).toEqual([[3, 2], [1]]);
    expect(two.nextPageToken).toBe('');
    const { pipelineVersion } = await at.pipelines.getPipelineVersion({ name: `${name}/versions/2` });
    expect(pipelineVersion?.specDigest).toBe(second.pipeline?.specDigest);
    const concurrent = await Promise.all(['d', 'e', 'f'].map((s) => apply({ steps: [quick(s)] })));
    expect(concurrent.map((c) => c.pipeline?.version).sort()).toEqual([4, 5, 6]);
    const { pipeline } = await at.pipelines.getPipeline({ name });
    const again = (etag = '') =>
      at.pipelines.applyPipeline({ pipeline: { name, spec: { steps: [quick('g')] }, etag } });
    await expect(again(third.pipeline?.etag)).rejects.toMatchObject({ kind: 'aborted' });
    await expect(again('x')).rejects.toMatchObject({ violations: [{ field: 'pipeline.etag' }] });
    expect((await again(pipeline?.etag)).pipeline?.version).toBe(7);
  });

  test('hold no value that is nested too deeply for a client to read', async () => {
    const nest = (levels: number): Init<typeof ValueSchema> =>
      levels === 0
        ? number(1)
        : { kind: { case: 'structValue', value: { fields: { a: nest(levels - 1) } } } };
    const apply = (ofDefault: number, ofItem: number) => {
      const source = { case: 'items' as const, value: { values: [number(1), nest(ofItem)] } };
      const parameters = [{ name: 'x', type: ParameterType.JSON, defaultValue: nest(ofDefault) }];
      const spec = { parameters, steps: [quick('a', { forEach: { source } })] };
      return at.pipelines.applyPipeline({ pipeline: { name: `${parent}/pipelines/deep`, spec } });
    };
    await apply(30, 30);
    const { pipelines } = await at.pipelines.listPipelines({ parent, pageSize: 1000 });
    expect(pipelines.map((pipeline) => pipeline.name)).toContain(`${parent}/pipelines/deep`);
    const description = 'nested too deeply: 31 levels of lists and objects; allowed: at most 30';
    await expect(apply(31, 1)).rejects.toMatchObject({
      violations: [{ field: 'pipeline.spec.parameters[0].default_value', description }],
    });
    await expect(apply(1, 31)).rejects.toMatchObject({
      violations: [{ field: 'pipeline.spec.steps[0].for_each.items[1]', description }],
    });
  });

  test('can be checked without being applied, and be given back as they were read', async () => {
    const spec = {
      parameters: [{ name: 'x', type: ParameterType.DOUBLE, defaultValue: number(0.5) }],
      steps: [
        js('a', '', {
          cache: { cacheVersion: '2', maxAge: { seconds: 5n } },
          retry: { maxAttempts: 3 },
          command: { files: [{ path: 'f.txt', content: Buffer.from('hi') }] },
        }),
      ],
    };
    const other = `${parent}/pipelines/other`;
    await at.pipelines.applyPipeline({ pipeline: { name: other, spec }, validateOnly: true });
    await expect(at.pipelines.getPipeline({ name: other })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await at.pipelines.applyPipeline({ pipeline: { name: other, spec } });
    const { pipeline } = await at.pipelines.getPipeline({ name: other });
    expect(
      (await at.pipelines.applyPipeline({ pipeline: { name: other, spec: pipeline!.spec! } })).changed,
    ).toBe(false);
  });

  test.each([
    [
      'a cycle',
      [quick('a', { dependsOn: ['b'] }), quick('b', { dependsOn: ['a'] })],
      'pipeline.spec.steps',
      /a → b → a|b → a → b/,
    ],
    [
      'an unknown step',
      [quick('a', { dependsOn: ['q'] })],
      'pipeline.spec.steps[0].depends_on[0]',
      /"q" is not a step/,
    ],
    ['a step without action', [{ name: 'a' }], 'pipeline.spec.steps[0]', /no action/],
    ['a name that is none', [quick('a b')], 'pipeline.spec.steps[0].name', /./],
    ['no steps', [], 'pipeline.spec.steps', /./],
    [
      'a bad path',
      [js('a', '', { command: { files: [{ path: '../x' }] } })],
      'pipeline.spec.steps[0].command.files[0].path',
      /./,
    ],
    [
      'a bad output',
      [js('a', '', { command: { outputs: [{ name: 'y', kind: OutputKind.JSON, path: '/etc/x' }] } })],
      'pipeline.spec.steps[0].command.outputs[0].path',
      /./,
    ],
    ['a negative time', [quick('a', { timeout: { seconds: -1n } })], 'pipeline.spec.steps[0].timeout', /./],
    [
      'a digest nobody has',
      [js('a', '', { command: { files: [{ path: 'f', digest: `sha256:${'0'.repeat(64)}` }] } })],
      'pipeline.spec.steps[0].command.files[0].digest',
      /./,
    ],
  ])('with %s are refused, naming the field', async (_, steps, field, description) => {
    await expect(at.pipelines.applyPipeline({ pipeline: { name, spec: { steps } } })).rejects.toMatchObject({
      kind: 'invalid_argument',
      violations: [{ field, description: expect.stringMatching(description) }],
    });
  });
});

describe('runs', () => {
  test('are created once for a request id', async () => {
    await at.pipelines.applyPipeline({
      pipeline: { name: `${parent}/pipelines/once`, spec: { steps: [quick('a')] } },
    });
    const create = (noCache: boolean) =>
      at.runs.createPipelineRun({
        parent,
        pipelineRun: { pipeline: `${parent}/pipelines/once`, noCache },
        requestId: 'r-1',
      });
    const [one, two] = await Promise.all([create(false), create(false)]);
    expect(one.pipelineRun?.name).toBe(two.pipelineRun?.name);
    await expect(create(true)).rejects.toMatchObject({ code: 'REQUEST_ID_REUSED' });
    await finished(at, one.pipelineRun!.name);
  });

  test('page through their list, newest first', async () => {
    const names = [];
    for (let i = 0; i < 3; i++) names.push(await launch(at, 'paged', { steps: [quick('a')] }));
    const pipeline = `${parent}/pipelines/paged`;
    const one = await at.runs.listPipelineRuns({ parent, pipeline, pageSize: 2 });
    const two = await at.runs.listPipelineRuns({
      parent,
      pipeline,
      pageSize: 2,
      pageToken: one.nextPageToken,
    });
    expect([...one.pipelineRuns, ...two.pipelineRuns].map((run) => run.name)).toEqual(names.reverse());
    for (const run of names) await finished(at, run);
  });

  test('tell what happened as events, in order', async () => {
    const run = await launch(at, 'told', { steps: [quick('a')] });
    await finished(at, run);
    const { events } = await at.log.listEvents({ project: 'default', pageSize: 1000 });
    const own = events
      .filter((event) => event.resource.startsWith(run))
      .map((event) => event.type.split('.').slice(2, 4).join('.'));
    expect(own).toEqual([
      'run.created',
      'run.state_changed',
      'task.state_changed',
      'attempt.finished',
      'task.state_changed',
      'run.state_changed',
    ]);
  });

  test.each([
    ['an unknown pipeline', { pipeline: `${parent}/pipelines/none` }, 'not_found'],
    ['an unknown version', { pipeline: name, version: 99 }, 'not_found'],
    ['another project', { pipeline: 'projects/other/pipelines/p' }, 'invalid_argument'],
    [
      'an unknown parameter',
      { pipeline: name, parameters: [{ name: 'q', value: number(1) }] },
      'invalid_argument',
    ],
    [
      'a parameter that is NaN',
      { pipeline: name, parameters: [{ name: 'q', value: number(Number.NaN) }] },
      'invalid_argument',
    ],
  ])('of %s are refused', async (_, pipelineRun, kind) => {
    await expect(at.runs.createPipelineRun({ parent, pipelineRun })).rejects.toMatchObject({ kind });
  });

  test('and tasks that do not exist are not found', async () => {
    const missing = `${parent}/pipelineRuns/${'0'.repeat(32)}`;
    await expect(at.runs.getPipelineRun({ name: missing })).rejects.toMatchObject({ kind: 'not_found' });
    await expect(at.runs.listTasks({ parent: missing })).rejects.toMatchObject({ kind: 'not_found' });
    await expect(at.runs.getTask({ name: `${missing}/tasks/a` })).rejects.toMatchObject({
      kind: 'not_found',
    });
    await expect(at.runs.cancelPipelineRun({ name: 'nonsense' })).rejects.toMatchObject({
      kind: 'invalid_argument',
    });
  });
});
