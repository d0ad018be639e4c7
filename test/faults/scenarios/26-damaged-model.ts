import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ModelVersionState } from '@millrace/contracts/registry';
import { TargetState } from '@millrace/contracts/serving';
import type { Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { startInferenceLoad } from '../../e2e/inference-load.ts';
import { linear, loaded, register } from '../../e2e/models.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { startServingSuite } from '../serving-suite.ts';

const model = 'projects/default/models/damaged';
const alias = `${model}/aliases/live`;
const name = 'projects/default/deployments/damaged';
const hexOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** What can happen to the bytes of a model where they lie. */
const damages: Readonly<Record<string, (bytes: Uint8Array, chance: Chance) => Uint8Array>> = {
  'one bit is flipped': (bytes, chance) => {
    const spoiled = Uint8Array.from(bytes);
    const at = chance.between(0, spoiled.length - 1);
    spoiled[at] = spoiled[at]! ^ (1 << chance.between(0, 7));
    return spoiled;
  },
  'the end is missing': (bytes, chance) => bytes.slice(0, chance.between(1, bytes.length - 1)),
  'nothing is left': () => new Uint8Array(),
  'another model lies under its name': () => linear([1000], 1000),
};

async function damage(chance: Chance): Promise<Outcome> {
  await using started = await startServingSuite({ REGISTRY_POLL_MS: '1000' });
  const { suite, millrace } = started;
  const breaches: string[] = [];
  const factors = [2, 3, 4, 5, 6];
  const bytesOf = (version: number) => linear([factors[version - 1]!], factors[version - 1]!);
  await millrace.registry.createModel({ parent: millrace.parent, modelId: 'damaged', model: {} });
  for (const [i] of factors.entries()) await register(millrace, model, bytesOf(i + 1));
  await deploy(millrace);
  const stored = (service: 'registry' | 'serving', folder: string, bytes: Uint8Array) => {
    const hex = hexOf(bytes);
    return join(suite.dataDir, service, service, folder, hex.slice(0, 2), hex);
  };

  const load = startInferenceLoad(millrace, 'damaged', factors, { clients: 2 });
  let version = 1;
  for (const [what, spoil] of Object.entries(damages)) {
    version += 1;
    const good = bytesOf(version);
    const path = stored('registry', 'blobs', good);
    writeFileSync(path, spoil(readFileSync(path), chance));
    breaches.push(...(await refused(millrace, version, what)));
  }
  // The bytes are there again: it loads by itself.
  writeFileSync(stored('registry', 'blobs', bytesOf(version)), bytesOf(version));
  await loaded(millrace, name, version);
  await load.stop();
  const strangers = [...load.byVersion.keys()].filter((one) => !['1', String(version)].includes(one));
  if (strangers.length > 0) breaches.push(`damaged versions answered: ${strangers.join(', ')}`);
  if (load.failures.length > 0) breaches.push(`${load.failures.length} requests failed: ${load.failures[0]}`);
  if (load.wrong.length > 0) breaches.push(`${load.wrong.length} wrong answers: ${load.wrong[0]}`);

  // A copy that serving keeps is damaged while it stands still: it is fetched again.
  const copy = stored('serving', 'models', bytesOf(version));
  await suite.service('serving').kill9();
  writeFileSync(copy, damages['one bit is flipped']!(readFileSync(copy), chance));
  await suite.service('serving').restart();
  await loaded(millrace, name, version);
  if (hexOf(readFileSync(copy)) !== hexOf(bytesOf(version))) breaches.push('a damaged copy was kept');
  breaches.push(...(await uploads(millrace, chance)));
  return { checked: load.answered, lost: 0, doubled: 0, breaches };
}

async function deploy(millrace: Millrace): Promise<void> {
  await millrace.registry.setAlias({ name: alias, version: 1 });
  await millrace.deployments.createDeployment({
    parent: millrace.parent,
    deploymentId: 'damaged',
    deployment: { targets: [{ model, selector: { case: 'alias', value: 'live' }, weight: 1 }] },
  });
  await loaded(millrace, name, 1);
}

/** Moves the alias to a damaged version: it is refused, the status says why, the version before goes on answering. */
async function refused(millrace: Millrace, version: number, what: string): Promise<string[]> {
  await millrace.registry.setAlias({ name: alias, version });
  const statusOf = async () =>
    (await millrace.deployments.getDeployment({ name })).deployment?.targetStatuses[0];
  const decided = async () => {
    const status = await statusOf();
    const done = status?.wantedVersion === version && status.state !== TargetState.LOADING;
    return done ? status : undefined;
  };
  const status = await until(decided, { what: `version ${version} is loaded or refused` });
  const told = `${what}: state ${status.state}, version ${status.loadedVersion} answers: ${status.reason}`;
  const sound =
    status.state === TargetState.FAILED &&
    status.loadedVersion === 1 &&
    /sha256|digest|bytes/i.test(status.reason) &&
    /version 1 goes on answering/.test(status.reason) &&
    !/\/(tmp|var|home|registry\/)/.test(status.reason);
  return sound ? [] : [told];
}

/** Bytes that are damaged on their way to the registry: never READY, and no alias moves to them. */
async function uploads({ registry }: Millrace, chance: Chance): Promise<string[]> {
  const good = linear([9], 9);
  const breaches: string[] = [];
  const upload = async (bytes: Uint8Array, digest: string) => {
    async function* parts() {
      yield { payload: { case: 'header', value: { parent: model, digest, modelVersion: {} } } } as const;
      yield { payload: { case: 'chunk', value: bytes } } as const;
    }
    return (await registry.uploadModelVersion(parts())).modelVersion?.name ?? '';
  };
  for (const [what, spoil] of Object.entries(damages)) {
    const name = await upload(spoil(good, chance), `sha256:${hexOf(good)}`).catch(() => undefined);
    if (name) breaches.push(`${what} on the way to the registry, and it became ${name}`);
  }
  const torn = good.slice(0, good.length - chance.between(1, 40));
  const rejected = await upload(torn, `sha256:${hexOf(torn)}`).catch(() => undefined);
  if (!rejected) return breaches;
  const decided = async () => {
    const { modelVersion } = await registry.getModelVersion({ name: rejected });
    return modelVersion?.state === ModelVersionState.REJECTED && modelVersion.stateReasons.length > 0;
  };
  await until(decided).catch(() => breaches.push('half a model was not rejected with a reason'));
  return breaches;
}

/** The damaged bytes registered as what they are: nothing refuses them, and the check must see that they answer. */
async function control(chance: Chance): Promise<Outcome> {
  await using started = await startServingSuite();
  const { millrace } = started;
  await millrace.registry.createModel({ parent: millrace.parent, modelId: 'damaged', model: {} });
  await register(millrace, model, linear([2], 2));
  await register(millrace, model, damages['another model lies under its name']!(linear([3], 3), chance));
  await deploy(millrace);
  const breaches = await refused(millrace, 2, 'another model');
  return { checked: 1, lost: 0, doubled: 0, breaches };
}

export const scenario: Scenario = {
  number: 26,
  name: 'model files lose bits, their end, everything, or are exchanged; on disk and on their way',
  invariant:
    'never loaded; the status says why; the version before goes on answering; mended bytes load by themselves',
  run: damage,
  control,
};
