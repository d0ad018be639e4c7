import { fromBinary } from '@bufbuild/protobuf';
import { AliasMoveCause } from '@millrace/contracts/registry';
import { registryEvents } from '@millrace/contracts/registry-events';
import { newId } from '@millrace/documents';
import { type TempDir, tempDir } from '@millrace/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findAlias } from '../src/domain/alias.ts';
import { newLine } from '../src/domain/line.ts';
import { promote, settle } from '../src/flows/promotion.ts';
import { register } from '../src/flows/registration.ts';
import { jobs } from '../src/jobs.ts';
import type { Registry } from '../src/registry.ts';
import { modelFile, openRegistry } from './running.ts';

let folder: TempDir;
let registry: Registry;
let later = 0;

beforeEach(async () => {
  folder = tempDir();
  later = 0;
  registry = await openRegistry(folder.path, () => Date.now() + later);
  await registry.store.lines.insert('p/m', newLine('p', 'm'));
});
afterEach(async () => {
  await registry.store.documents.close();
  await folder.remove();
});

const ref = { project: 'p', model: 'm' };
const promotion = (version: number) => ({ ...ref, version, alias: 'champion', actor: 'a', comment: '' });

/** A registry whose process ends when a collection is asked for something the nth time. */
function crashing(collection: 'lines' | 'versions' | 'decisions', method: string, nth = 1): Registry {
  let calls = 0;
  const real = registry.store[collection] as unknown as Record<string, (...args: unknown[]) => unknown>;
  const broken = {
    ...real,
    [method]: (...args: unknown[]) => {
      calls += 1;
      if (calls >= nth) throw new Error('the process ended here');
      return real[method]!(...args);
    },
  };
  return { ...registry, store: { ...registry.store, [collection]: broken } as Registry['store'] };
}

async function registered(weight: number, key = newId(), using = registry) {
  const blob = await registry.blobs.put(modelFile(weight));
  const origin = { sourceRun: '', trainingSet: '', pipelineRun: '' };
  return register(using, ref, { ...blob, ...origin, description: '', tags: [] }, key);
}

const eventTypes = async () =>
  (await registry.store.documents.events.read({ after: 0, limit: 100 })).map((event) =>
    event.type.split('.').slice(2, 4).join('.'),
  );

describe('a promotion that is cut short', () => {
  it('between decision and move is ended by the retry: one decision, one move', async () => {
    await registered(1);
    const key = newId();
    await expect(promote(crashing('lines', 'upsert'), promotion(1), key)).rejects.toThrow();
    expect((await registry.store.decision(key))?.doc.outcome).toBe('PENDING');
    const { moved, decision } = await promote(registry, promotion(1), key);
    expect({ moved, outcome: decision.outcome }).toEqual({ moved: true, outcome: 'APPLIED' });
    expect((await promote(registry, promotion(1), key)).moved).toBe(true);
    expect((await eventTypes()).filter((type) => /alias|gate/.test(type))).toEqual([
      'gate.decided',
      'alias.moved',
    ]);
    const events = await registry.store.documents.events.read({ after: 0, limit: 100 });
    const event = events.find((found) => found.type === registryEvents.aliasMoved.type)!;
    expect(event).toMatchObject({ project: 'p', resource: 'projects/p/models/m/aliases/champion' });
    expect(fromBinary(registryEvents.aliasMoved.schema, event.data)).toMatchObject({
      model: 'projects/p/models/m',
      alias: 'champion',
      modelVersion: 'projects/p/models/m/versions/1',
      version: 1,
      previousVersion: 0,
      decision: `projects/p/models/m/decisions/${key}`,
      cause: AliasMoveCause.PROMOTED,
      revision: 1n,
    });
  });

  it('between move and outcome is ended by the sweep, without another move', async () => {
    await registered(1);
    const key = newId();
    await expect(promote(crashing('decisions', 'change'), promotion(1), key)).rejects.toThrow();
    expect(findAlias(await registry.store.line(ref), 'champion')?.revision).toBe(1);
    later = 60_000;
    for (const job of jobs(registry, 1000)) await job.run(new AbortController().signal);
    expect((await registry.store.decision(key))?.doc.outcome).toBe('APPLIED');
    expect(findAlias(await registry.store.line(ref), 'champion')?.revision).toBe(1);
  });

  it('is not carried out once another version has the alias', async () => {
    await registered(1);
    await registered(2);
    const key = newId();
    await expect(promote(crashing('lines', 'upsert'), promotion(1), key)).rejects.toThrow();
    await promote(registry, promotion(2), newId());
    const stored = await registry.store.decision(key);
    expect((await settle(registry, stored!)).decision.outcome).toBe('STALE');
    expect(findAlias(await registry.store.line(ref), 'champion')?.version).toBe(2);
  });
});

describe('a registration that is cut short', () => {
  it.each([
    ['after its number was taken', 'versions', 'insert'],
    ['before its bytes were checked', 'versions', 'change'],
  ] as const)('%s gets the same number at the retry', async (_when, collection, method) => {
    const key = newId();
    await expect(registered(1, key, crashing(collection, method))).rejects.toThrow();
    const { doc } = await registered(1, key);
    expect(doc).toMatchObject({ version: 1, state: 'READY' });
    expect((await registered(2)).doc.version).toBe(2);
    expect(await eventTypes()).toEqual([
      'model_version.registered',
      'model_version.ready',
      'model_version.registered',
      'model_version.ready',
    ]);
  });

  it('before its bytes were checked is ended by the sweep', async () => {
    await expect(registered(1, newId(), crashing('versions', 'change'))).rejects.toThrow();
    expect((await registry.store.version({ ...ref, version: 1 })).doc.state).toBe('PENDING');
    later = 60_000;
    for (const job of jobs(registry, 1000)) await job.run(new AbortController().signal);
    expect((await registry.store.version({ ...ref, version: 1 })).doc.state).toBe('READY');
  });
});
