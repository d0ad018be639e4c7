import { TargetState } from '@millrace/contracts/serving';
import { until } from '@millrace/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DeploymentInit, floatsOf, type Harness, model, rowsOf, startHarness } from './harness.ts';
import { identityModel, linearModel, loopModel } from './models.ts';

let h: Harness;
beforeAll(async () => {
  h = await startHarness({ RUN_TIMEOUT_MS: '1000' });
  h.addVersion(1, linearModel([1], 100));
  h.addVersion(2, linearModel([1], 200));
  h.addVersion(3, Uint8Array.of(1, 2, 3));
  h.addVersion(4, linearModel([1], 400), { digest: `sha256:${'0'.repeat(64)}` });
  h.addVersion(5, identityModel('FP32', ['n', 3]));
  h.addVersion(6, loopModel());
});
afterAll(() => h.stop());

const ask = (id: string, value = 1) => h.clients.inference.modelInfer(rowsOf(id, [[value]]));
const pinned = (version: number, weight = 1, more = {}) => ({
  model,
  weight,
  selector: { case: 'version' as const, value: version },
  ...more,
});

describe('rollout', () => {
  it('swaps under load: no request fails, and each answer is of exactly one version', async () => {
    await h.moveAlias('champion', 1);
    await h.deploy('live');
    await h.ready('live', 1);
    let stop = false;
    const seen = new Map<string, number>();
    const failures: unknown[] = [];
    const client = async () => {
      for (let i = 0; !stop; i++) {
        try {
          const answer = await ask('live', i % 50);
          const { modelVersion: version } = answer;
          expect(floatsOf(answer)).toEqual([100 * Number(version) + (i % 50)]);
          seen.set(version, (seen.get(version) ?? 0) + 1);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const clients = Array.from({ length: 16 }, client);
    for (const version of [2, 1, 2, 1, 2]) {
      await h.moveAlias('champion', version);
      await h.ready('live', version);
    }
    stop = true;
    await Promise.all(clients);
    expect(failures).toEqual([]);
    expect([...seen.keys()].sort()).toEqual(['1', '2']);
    await until(async () => (await h.recorded('modelUnloaded')).length === 5, {
      what: 'old versions unload',
    });
    expect(await h.recorded('modelLoaded')).toHaveLength(6);
  }, 60_000);

  it.each([
    [3, /safe to load|runtime refused/],
    [4, /digest/],
    [9, /does not exist/],
  ])('keeps what answers when version %i cannot be loaded, and says why', async (version, reason) => {
    await h.moveAlias('champion', 1);
    await h.ready('live', 1);
    await h.moveAlias('champion', version);
    await until(async () => (await h.status('live')).state === TargetState.FAILED, { what: 'it fails' });
    const status = await h.status('live');
    expect(status).toMatchObject({ wantedVersion: version, loadedVersion: 1 });
    expect(status.reason).toMatch(reason);
    expect(status.reason).toMatch(/version 1 goes on answering/);
    expect(floatsOf(await ask('live'))).toEqual([101]);
    await h.moveAlias('champion', 2);
    await h.ready('live', 2);
  });

  it('waits for an alias, finds a move whose event never came, and refuses what is too large', async () => {
    const other = await startHarness({ REGISTRY_POLL_MS: '200', MAX_MODEL_BYTES: '2000' });
    other.addVersion(1, linearModel([1], 100));
    other.addVersion(2, linearModel([1], 200));
    await other.deploy('quiet');
    await until(async () => /does not exist/.test((await other.status('quiet')).reason), {
      what: 'it waits',
    });
    expect((await other.status('quiet')).state).toBe(TargetState.LOADING);
    await other.moveAlias('champion', 1, { silent: true });
    await other.ready('quiet', 1);
    await other.moveAlias('champion', 2, { silent: true });
    await other.ready('quiet', 2);
    other.addVersion(3, linearModel(Array(1000).fill(1), 0));
    await other.moveAlias('champion', 3);
    await until(async () => /MAX_MODEL_BYTES/.test((await other.status('quiet')).reason), {
      what: 'too large',
    });
    await other.stop();
  }, 30_000);

  it('splits by weight and id, and changes weights without a gap', async () => {
    await h.deploy('split', { targets: [pinned(1, 3), pinned(2, 1)] });
    await h.ready('split', 1);
    await h.ready('split', 2, 1);
    const count = async () => {
      const versions = await Promise.all(
        Array.from({ length: 400 }, (_, i) =>
          h.clients.inference.modelInfer(rowsOf('split', [[1]], { id: `r${i}` })).then((a) => a.modelVersion),
        ),
      );
      return versions;
    };
    const first = await count();
    const ones = first.filter((version) => version === '1').length;
    expect(ones).toBeGreaterThan(250);
    expect(ones).toBeLessThan(350);
    expect(await count()).toEqual(first);
    await h.clients.deployments.updateDeployment({
      deployment: { name: 'projects/default/deployments/split', targets: [pinned(1, 0), pinned(2, 1)] },
      updateMask: { paths: ['targets'] },
    });
    await until(async () => (await count()).every((version) => version === '2'), {
      what: 'all go to version 2',
    });
  }, 30_000);

  it('answers for others while a model hangs, and replaces its worker', async () => {
    await h.deploy('loops', { targets: [pinned(6)] });
    await h.ready('loops', 6);
    const hung = ask('loops', 1e7).catch((error: unknown) => error);
    const startMs = Date.now();
    expect(floatsOf(await ask('live'))).toEqual([201]);
    expect(Date.now() - startMs).toBeLessThan(8000);
    expect(await hung).toMatchObject({ kind: 'unavailable', retryAfterMs: 1000 });
    expect((await ask('loops', 2)).modelVersion).toBe('6');
  }, 30_000);

  it('does not let a version in that does not fit the look-up', async () => {
    await h.deploy('misfit', {
      targets: [pinned(5)],
      featureLookup: {
        entityKeys: [{ key: 'origin' }],
        inputs: [{ input: 'x', columns: [{ source: { case: 'feature', value: 'v:f' } }] }],
      },
    });
    await until(async () => (await h.status('misfit')).state === TargetState.FAILED, { what: 'it fails' });
    expect((await h.status('misfit')).reason).toMatch(/has 3 columns and the look-up assembles 1/);
    await expect(ask('misfit')).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('loads from its cache after a restart, also while the registry is away', async () => {
    await h.ready('live', 2);
    h.registry.versions.delete(`${model}/versions/2`);
    await h.restart();
    await until(async () => (await ask('live')).modelVersion === '2', { what: 'it answers again' });
    // What answers beside a version that cannot be loaded answers also after a restart.
    await h.moveAlias('champion', 3);
    await until(async () => (await h.status('live')).state === TargetState.FAILED, { what: 'it fails' });
    await h.restart();
    await until(async () => (await ask('live')).modelVersion === '2', { what: 'it answers again' });
    expect(await h.status('live')).toMatchObject({ wantedVersion: 3, loadedVersion: 2 });
  }, 30_000);

  it('manages deployments: conditional writes, idempotency, paging, watching', async () => {
    const { deployments } = h.clients;
    const parent = 'projects/default';
    const name = `${parent}/deployments/managed`;
    const create = {
      parent,
      deploymentId: 'managed',
      deployment: { targets: [pinned(1)] },
      requestId: 'r-1',
    };
    const created = await deployments.createDeployment(create);
    expect(await deployments.createDeployment(create)).toEqual(created);
    await expect(deployments.createDeployment({ ...create, requestId: 'r-2' })).rejects.toMatchObject({
      kind: 'already_exists',
    });
    await h.ready('managed', 1);
    await expect(
      deployments.updateDeployment({
        deployment: { name, etag: '1', description: 'x', targets: [pinned(1)] },
      }),
    ).rejects.toMatchObject({ code: 'VERSION_CONFLICT' });
    const abort = new AbortController();
    const told: string[] = [];
    const watching = (async () => {
      for await (const { deployment, deleted } of deployments.watchDeployments(
        { parent, name },
        { signal: abort.signal },
      ))
        told.push(deleted ? 'deleted' : deployment!.description);
    })().catch(() => undefined);
    await until(() => told.length === 1, { what: 'the first state' });
    await deployments.updateDeployment({
      deployment: { name, description: 'new' },
      updateMask: { paths: ['description'] },
    });
    await until(() => told.includes('new'), { what: 'the change' });
    await deployments.deleteDeployment({ name });
    await until(() => told.at(-1) === 'deleted', { what: 'the end' });
    abort.abort();
    await watching;
    await expect(deployments.getDeployment({ name })).rejects.toMatchObject({ kind: 'not_found' });
    await until(
      () =>
        ask('managed').then(
          () => false,
          (error: { kind: string }) => error.kind === 'not_found',
        ),
      { what: 'it is gone' },
    );
    const page = await deployments.listDeployments({ parent, pageSize: 2 });
    expect(page.deployments).toHaveLength(2);
    expect(page.nextPageToken).not.toBe('');
  }, 30_000);

  const refused: readonly (readonly [string, DeploymentInit])[] = [
    ['no target', {}],
    ['no weight', { targets: [pinned(1, 0)] }],
    ['a shadow alone', { targets: [pinned(1, 1, { shadow: true })] }],
    ['the same target twice', { targets: [pinned(1), pinned(1)] }],
    ['neither alias nor version', { targets: [{ model, weight: 1 }] }],
    ['a model of another project', { targets: [{ ...pinned(1), model: 'projects/other/models/m' }] }],
    ['a weight that is no number', { targets: [pinned(1, Number.NaN)] }],
    ['a delay of a minute', { targets: [pinned(1)], batching: { maxDelay: { seconds: 60n } } }],
    ['sampling at no rate', { targets: [pinned(1)], logging: { mode: 2 } }],
    [
      'a feature without its view',
      {
        targets: [pinned(1)],
        featureLookup: {
          entityKeys: [{ key: 'k' }],
          inputs: [{ input: 'x', columns: [{ source: { case: 'feature' as const, value: 'f' } }] }],
        },
      },
    ],
  ];
  it.each(refused)('refuses a deployment with %s', async (_, deployment) => {
    const request = { parent: 'projects/default', deploymentId: 'bad', deployment };
    await expect(h.clients.deployments.createDeployment(request)).rejects.toMatchObject({
      kind: 'invalid_argument',
    });
  });
});
