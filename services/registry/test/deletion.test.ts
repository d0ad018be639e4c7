import { newId } from '@millrace/documents';
import { type TempDir, tempDir } from '@millrace/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deleteModel } from '../src/flows/deletion.ts';
import { register } from '../src/flows/registration.ts';
import type { Registry } from '../src/registry.ts';
import { modelKey } from '../src/store/keys.ts';
import { modelFile, openRegistry } from './running.ts';

let folder: TempDir;
let registry: Registry;
const ref = { project: 'p', model: 'm' };
const live = { modelKey: modelKey(ref), live: true };

beforeEach(async () => {
  folder = tempDir();
  registry = await openRegistry(folder.path);
  await registry.store.models.insert(modelKey(ref), { ...ref, description: '', tags: [] });
});
afterEach(async () => {
  await registry.store.documents.close();
  await folder.remove();
});

const remove = (using: Registry, force = false) =>
  deleteModel(using, ref, { id: newId(), expect: undefined, force });

async function upload(using: Registry) {
  const blob = await using.blobs.put(modelFile());
  const origin = { sourceRun: '', trainingSet: '', pipelineRun: '' };
  return register(using, ref, { ...blob, ...origin, description: '', tags: [] }, newId());
}

/** A registry where something else happens between the first count of versions and its answer. */
function afterCount(meanwhile: () => Promise<unknown>): Registry {
  const { versions } = registry.store;
  let counted = false;
  const count: typeof versions.count = async (where) => {
    const found = await versions.count(where);
    if (!counted) {
      counted = true;
      await meanwhile();
    }
    return found;
  };
  return { ...registry, store: { ...registry.store, versions: { ...versions, count } } };
}

/** A registry where something else happens between the number of a version and its record. */
function beforeInsert(meanwhile: () => Promise<unknown>): Registry {
  const { versions } = registry.store;
  const insert: typeof versions.insert = async (...version) => {
    await meanwhile();
    return versions.insert(...version);
  };
  return { ...registry, store: { ...registry.store, versions: { ...versions, insert } } };
}

describe('a model is not deleted unforced', () => {
  it('with a version that is registered meanwhile, and takes more of them afterwards', async () => {
    const deletion = remove(afterCount(() => upload(registry)));
    await expect(deletion).rejects.toMatchObject({ code: 'MODEL_HAS_VERSIONS' });
    expect((await registry.store.version({ ...ref, version: 1 })).doc.state).toBe('READY');
    expect((await upload(registry)).doc.version).toBe(2);
  });

  it('with versions, and takes more of them after a try that was cut short', async () => {
    const dies = afterCount(() => upload(registry));
    const lines = { ...registry.store.lines };
    let writes = 0;
    lines.upsert = async (...line) => {
      writes += 1;
      if (writes > 1) throw new Error('the process ended here');
      return registry.store.lines.upsert(...line);
    };
    await expect(remove({ ...dies, store: { ...dies.store, lines } })).rejects.toThrow('ended');
    await expect(upload(registry)).rejects.toMatchObject({ code: 'WRONG_STATE' });
    await expect(remove(registry)).rejects.toMatchObject({ code: 'MODEL_HAS_VERSIONS' });
    expect((await upload(registry)).doc.version).toBe(2);
  });
});

describe('a version does not outlive its model', () => {
  it.each([false, true])('when it is stored after the deletion; forced: %s', async (force) => {
    const late = upload(beforeInsert(() => remove(registry, force)));
    await expect(late).rejects.toMatchObject({ code: 'WRONG_STATE' });
    expect(await registry.store.versions.count(live)).toBe(0);
    expect(await registry.store.models.get(modelKey(ref))).toBeUndefined();
  });
});
