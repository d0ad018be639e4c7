import { names } from '@millrace/contracts';
import { RegistryService } from '@millrace/contracts/registry';
import { alreadyExists, invalidField, isCoded } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { expectOf, versionOfEtag } from '@millrace/service';
import { newLine, openLine } from '../domain/line.ts';
import { type Model, reword, wordingFields } from '../domain/model.ts';
import { uniqueTags } from '../domain/tag.ts';
import { deleteModel } from '../flows/deletion.ts';
import { announce } from '../message/announce.ts';
import { modelMessage } from '../message/resources.ts';
import type { Registry } from '../registry.ts';
import { modelKey } from '../store/keys.ts';
import { modelName } from '../store/names.ts';
import { mutating } from './mutating.ts';
import { maskedFields, pageAfter, pageLimit } from './request.ts';

type Methods = 'createModel' | 'getModel' | 'listModels' | 'updateModel' | 'deleteModel';

/** Percent-encoded, a name of the longest kind must leave room for what follows it in names of versions and gates. */
const maxNameLength = 1800;

export function modelHandlers(registry: Registry): Pick<Handlers<typeof RegistryService>, Methods> {
  const { store, now } = registry;
  const { method } = RegistryService;

  return {
    async createModel(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      return mutating(registry, method.createModel, project, request, async ({ id }) => {
        const { description = '', tags = [] } = request.model ?? {};
        const model: Model = { project, model: request.modelId, description, tags: uniqueTags(tags) };
        const name = modelName(model);
        if (name.length > maxNameLength)
          throw invalidField(
            'model_id',
            `it takes ${name.length} characters encoded`,
            `at most ${maxNameLength}`,
          );
        const key = modelKey(model);
        const line = await store.lines.upsert(key, (found) => {
          const doc = found ? openLine(found) : newLine(project, model.model);
          return doc && { doc };
        });
        const emit = announce.modelCreated(model, now());
        const stored = await store.models
          .insert(key, model, { requestId: id, emit })
          .catch((error: unknown) => {
            throw isCoded(error, 'ALREADY_EXISTS') ? alreadyExists(name) : error;
          });
        return { model: modelMessage(stored, line?.doc ?? newLine(project, model.model)) };
      });
    },

    async getModel(request) {
      const ref = names.model.parse(request.name);
      const [stored, line] = await Promise.all([store.model(ref), store.line(ref)]);
      return { model: modelMessage(stored, line) };
    },

    async listModels(request) {
      const { project } = names.project.parse(request.parent, 'parent');
      const page = await store.models.find({
        where: { project },
        orderBy: [{ field: 'model' }],
        limit: pageLimit(request.pageSize),
        ...pageAfter(request.pageToken),
      });
      const lines = await store.lines.getMany(page.items.map((item) => item.id));
      const models = page.items.map((item, i) =>
        modelMessage(item, lines[i]?.doc ?? newLine(project, item.doc.model)),
      );
      return { models, nextPageToken: page.next ?? '' };
    },

    async updateModel(request) {
      const next = request.model!;
      const ref = names.model.parse(next.name, 'model.name');
      const fields = maskedFields(request.updateMask, wordingFields);
      const condition = expectOf(next.etag, 'model.etag');
      return mutating(registry, method.updateModel, ref.project, request, async ({ id }) => {
        await store.model(ref);
        const stored = await store.models.change(
          modelKey(ref),
          (model) => {
            const doc = reword(model, next, fields);
            return doc && { doc, emit: announce.modelUpdated(doc, now()) };
          },
          { ...condition, requestId: id },
        );
        return { model: modelMessage(stored, await store.line(ref)) };
      });
    },

    async deleteModel(request) {
      const ref = names.model.parse(request.name);
      const expect = versionOfEtag(request.etag, 'etag');
      return mutating(registry, method.deleteModel, ref.project, request, async ({ id }) => {
        await deleteModel(registry, ref, { id, expect, force: request.force });
        return {};
      });
    },
  };
}
