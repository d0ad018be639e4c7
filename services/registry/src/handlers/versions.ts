import type { Digest } from '@millrace/blobs';
import { names } from '@millrace/contracts';
import { RegistryService } from '@millrace/contracts/registry';
import { invalidField, notFound } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { expectOf, versionOfEtag } from '@millrace/service';
import { reword, wordingFields } from '../domain/model.ts';
import { uniqueTags } from '../domain/tag.ts';
import { deleteVersion } from '../flows/deletion.ts';
import { register } from '../flows/registration.ts';
import { announce } from '../message/announce.ts';
import { versionMessage } from '../message/resources.ts';
import { versionStates } from '../message/words.ts';
import type { Registry } from '../registry.ts';
import { modelKey, versionKey } from '../store/keys.ts';
import { mutating } from './mutating.ts';
import { maskedFields, numberedVersion, originOf, pageAfter, pageLimit, resolveVersion } from './request.ts';

type Methods =
  | 'createModelVersion'
  | 'getModelVersion'
  | 'listModelVersions'
  | 'updateModelVersion'
  | 'deleteModelVersion'
  | 'downloadModelVersion';

/** Bytes of a message of a download. */
const chunkBytes = 256 * 1024;

export function versionHandlers(registry: Registry): Pick<Handlers<typeof RegistryService>, Methods> {
  const { store, now } = registry;
  const { method } = RegistryService;

  return {
    async createModelVersion(request) {
      const ref = names.model.parse(request.parent, 'parent');
      const { description = '', tags = [] } = request.modelVersion ?? {};
      const origin = originOf(ref.project, request.modelVersion);
      return mutating(registry, method.createModelVersion, ref.project, request, async ({ id }) => {
        await store.model(ref);
        const { digest } = request;
        const where = { project: ref.project, digest, live: true };
        const [same] = (await store.versions.find({ where, limit: 1 })).items;
        if (!same) throw notFound(`projects/${ref.project}: a version with the digest ${digest}`);
        const { sizeBytes } = same.doc;
        const words = { description, tags: uniqueTags(tags) };
        const stored = await register(registry, ref, { ...words, ...origin, digest, sizeBytes }, id);
        return { modelVersion: versionMessage(stored, await store.line(ref)) };
      });
    },

    async getModelVersion(request) {
      const ref = await resolveVersion(registry, request.name, 'name');
      const [stored, line] = await Promise.all([store.version(ref), store.line(ref)]);
      return { modelVersion: versionMessage(stored, line) };
    },

    async listModelVersions(request) {
      const ref = names.model.parse(request.parent, 'parent');
      await store.model(ref);
      const state = versionStates.fromWire(request.state);
      const page = await store.versions.find({
        where: { modelKey: modelKey(ref), ...(state ? { state } : { live: true }) },
        orderBy: [{ field: 'version', direction: 'desc' }],
        limit: pageLimit(request.pageSize),
        ...pageAfter(request.pageToken),
      });
      const line = await store.line(ref);
      return {
        modelVersions: page.items.map((item) => versionMessage(item, line)),
        nextPageToken: page.next ?? '',
      };
    },

    async updateModelVersion(request) {
      const next = request.modelVersion!;
      const ref = numberedVersion(next.name, 'model_version.name');
      const fields = maskedFields(request.updateMask, wordingFields);
      const condition = expectOf(next.etag, 'model_version.etag');
      return mutating(registry, method.updateModelVersion, ref.project, request, async ({ id }) => {
        await store.version(ref);
        const stored = await store.versions.change(
          versionKey(ref),
          (version) => {
            const doc = reword(version, next, fields);
            return doc && { doc, emit: announce.versionUpdated(doc, now()) };
          },
          { ...condition, requestId: id },
        );
        return { modelVersion: versionMessage(stored, await store.line(ref)) };
      });
    },

    async deleteModelVersion(request) {
      const ref = numberedVersion(request.name, 'name');
      const expect = versionOfEtag(request.etag, 'etag');
      return mutating(registry, method.deleteModelVersion, ref.project, request, async ({ id }) => {
        await deleteVersion(registry, ref, { id, expect });
        return {};
      });
    },

    async *downloadModelVersion(request) {
      const ref = await resolveVersion(registry, request.name, 'name');
      const [stored, line] = await Promise.all([store.version(ref), store.line(ref)]);
      const { digest, sizeBytes } = stored.doc;
      const offset = Number(request.offset);
      if (offset > sizeBytes)
        throw invalidField(
          'offset',
          `${offset} is beyond the end`,
          `0 to ${sizeBytes}, the size of the version`,
        );
      yield { payload: { case: 'modelVersion' as const, value: versionMessage(stored, line) } };
      if (offset === sizeBytes) return;
      const bytes = registry.blobs.get(digest as Digest, ...(offset > 0 ? [{ offset }] : []));
      for await (const part of bytes)
        for (let at = 0; at < part.length; at += chunkBytes)
          yield { payload: { case: 'chunk' as const, value: part.subarray(at, at + chunkBytes) } };
    },
  };
}
