import type { Versioned } from '@millrace/documents';
import { versionConflict } from '@millrace/errors';
import { refuse } from '../domain/codes.ts';
import { closeLine, discard, newLine, openLine } from '../domain/line.ts';
import type { ModelVersion } from '../domain/version.ts';
import { announce } from '../message/announce.ts';
import type { Registry } from '../registry.ts';
import { type ModelRef, modelKey, versionKey } from '../store/keys.ts';
import { modelName, versionName } from '../store/names.ts';

/** How something is deleted. */
interface Deletion {
  /** The id of the event that tells of it. */
  readonly id: string;
  /** The version it must have. */
  readonly expect: number | undefined;
}

/**
 * Deletes a version: first its number is given up, where aliases are kept too, so that no alias can come to point to it;
 * then it becomes a tombstone. Its bytes stay, as other versions may have the same.
 */
export async function deleteVersion(
  registry: Registry,
  ref: ModelRef & { readonly version: number },
  { id, expect }: Deletion,
): Promise<void> {
  const { store } = registry;
  const stored = await store.version(ref);
  requireVersion(versionName(ref), stored.version, expect);
  await store.lines.upsert(modelKey(ref), (line) => {
    const doc = discard(line ?? newLine(ref.project, ref.model), ref.version);
    return doc && { doc };
  });
  await bury(registry, stored, id);
}

/**
 * Deletes a model, and with `force` its versions. Each step can be done again, so a retry ends what a crash left half done.
 * Versions are looked for again once no number is given any more: one that is stored even later finds the line closed and
 * takes itself back (`validate`), so none is deleted unasked and none outlives its model.
 */
export async function deleteModel(
  registry: Registry,
  ref: ModelRef,
  options: Deletion & { readonly force: boolean },
): Promise<void> {
  const { store } = registry;
  const model = await store.model(ref);
  requireVersion(modelName(ref), model.version, options.expect);
  const where = { modelKey: modelKey(ref), live: true };
  const requireNoVersions = async () => {
    const versions = options.force ? 0 : await store.versions.count(where);
    if (versions === 0) return;
    // Also where a try that a crash cut short has closed it.
    await store.lines.upsert(modelKey(ref), (line) => {
      const doc = line && openLine(line);
      return doc && { doc };
    });
    const message = `${modelName(ref)} has ${versions} versions; delete them first, or give force`;
    throw refuse('MODEL_HAS_VERSIONS', message);
  };
  await requireNoVersions();
  await store.lines.upsert(modelKey(ref), (line) => {
    const doc = closeLine(line ?? newLine(ref.project, ref.model));
    return doc && { doc };
  });
  await requireNoVersions();
  for (;;) {
    const { items } = await store.versions.find({ where, orderBy: [{ field: 'version' }], limit: 100 });
    if (items.length === 0) break;
    for (const item of items) await bury(registry, item);
  }
  for (;;) {
    const { items } = await store.gates.find({
      where: { modelKey: modelKey(ref) },
      orderBy: [{ field: 'gate' }],
    });
    if (items.length === 0) break;
    for (const { id, doc } of items)
      await store.gates.remove(id, { emit: announce.gateChanged(doc, true, registry.now()) });
  }
  await store.models.remove(modelKey(ref), { emit: announce.modelDeleted(ref, options.id, registry.now()) });
}

/** Makes a version a tombstone; one that is does not change. */
export async function bury(registry: Registry, { doc }: Versioned<ModelVersion>, id?: string): Promise<void> {
  await registry.store.versions.change(versionKey(doc), (now) => {
    if (now.state === 'DELETED') return undefined;
    const gone: ModelVersion = { ...now, state: 'DELETED' };
    return { doc: gone, emit: announce.versionDeleted(gone, registry.now(), id) };
  });
}

function requireVersion(resource: string, actual: number, expect: number | undefined): void {
  if (expect !== undefined && expect !== actual) throw versionConflict(resource, expect, actual);
}
