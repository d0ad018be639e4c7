import { names } from '@millrace/contracts';
import type { Tag as TagMessage } from '@millrace/contracts/common';
import * as wire from '@millrace/contracts/features';
import { featuresEvents } from '@millrace/contracts/features-events';
import { invalidField, notFound, wrongState } from '@millrace/errors';
import { draft } from '@millrace/events';
import type { CallContext, Handlers } from '@millrace/rpc';
import { mutate, versionOfEtag } from '@millrace/service';
import { typeOfWire } from '../batch.ts';
import { decideEntity } from '../domain/decide.ts';
import type { ColumnSchema, Entity, FeatureView, Source, Tag } from '../domain/definition.ts';
import { entityMessage, nameIn, sourceMessage, wireFormats } from '../messages.ts';
import { all, type Store } from '../store/store.ts';
import { applyDocument, type HandlerParts, pageOf } from './context.ts';

type Service = Handlers<typeof wire.FeatureStoreService>;

export const tagsOf = (tags: readonly TagMessage[]): readonly Tag[] =>
  tags.map(({ key, value }) => ({ key, value }));

/** Columns of a message, with known types. */
export const columnsOf = (columns: readonly wire.ColumnSchema[]): readonly ColumnSchema[] =>
  columns.map(({ name, type }) => ({ name, type: typeOfWire(type)! }));

/** The name of a view that fits. */
async function viewThat(
  store: Store,
  project: string,
  fits: (view: FeatureView) => boolean,
): Promise<string | undefined> {
  for await (const { id, doc } of all(store.views, { where: { project } })) if (fits(doc)) return id;
  return undefined;
}

/** Entities and sources. */
export function definitionHandlers(parts: HandlerParts) {
  const { store, sources, now } = parts;
  const { ledger } = store;

  const applyEntity: Service['applyEntity'] = (request, context) => {
    const wanted = request.entity!;
    const { project } = names.entity.parse(wanted.name, 'entity.name');
    const io = { input: wire.ApplyEntityRequestSchema, output: wire.ApplyEntityResponseSchema };
    return mutate({ ledger, method: context.method, project, ...io }, request, async (mutation) => {
      const joinKeys = wanted.joinKeys.map(({ name, type }) => ({ name, type: typeOfWire(type)! }));
      const entity: Entity = {
        project,
        joinKeys,
        description: wanted.description,
        tags: tagsOf(wanted.tags),
      };
      const user = await viewThat(store, project, (view) => view.entities.includes(wanted.name));
      const options = { etag: wanted.etag, field: 'entity', mutation, now };
      const held = await applyDocument(store.entities, wanted.name, options, (current) => ({
        doc: decideEntity(entity, current, user),
        emit: (made) => {
          const data = { entity: entityMessage(made) };
          return [draft(featuresEvents.entityApplied, { project, resource: made.id, timeMs: now(), data })];
        },
      }));
      return { entity: entityMessage(held) };
    });
  };

  const deleteEntity: Service['deleteEntity'] = (request, context) => {
    const { project } = names.entity.parse(request.name);
    const io = { input: wire.DeleteEntityRequestSchema, output: wire.DeleteEntityResponseSchema };
    return mutate({ ledger, method: context.method, project, ...io }, request, async ({ id }) => {
      if (!(await store.entities.get(request.name))) throw notFound(request.name);
      const user = await viewThat(store, project, (view) => view.entities.includes(request.name));
      if (user) throw wrongState(`${user} uses the entity; delete the view first`, 'ENTITY_IN_USE');
      const data = { name: request.name };
      const event = draft(featuresEvents.entityDeleted, {
        id,
        project,
        resource: request.name,
        timeMs: now(),
        data,
      });
      const expect = versionOfEtag(request.etag, 'etag');
      await store.entities.remove(request.name, {
        emit: [event],
        ...(expect === undefined ? {} : { expect }),
      });
      return {};
    });
  };

  const applySource: Service['applySource'] = (request, context) => {
    const wanted = request.source!;
    const { project } = names.source.parse(wanted.name, 'source.name');
    const io = { input: wire.ApplySourceRequestSchema, output: wire.ApplySourceResponseSchema };
    return mutate({ ledger, method: context.method, project, ...io }, request, async (mutation) => {
      const described = readSource(wanted, project);
      const columns = await sources.inspect(wanted.name, described);
      if (columns.length === 0)
        throw invalidField('source', 'the file has no usable column', 'a column at least');
      const options = { etag: wanted.etag, field: 'source', mutation, now };
      const held = await applyDocument<Source, 'project'>(store.sources, wanted.name, options, () => ({
        doc: { ...described, columns },
        emit: (made) => {
          const data = { source: sourceMessage(made) };
          return [draft(featuresEvents.sourceApplied, { project, resource: made.id, timeMs: now(), data })];
        },
      }));
      return { source: sourceMessage(held) };
    });
  };

  const deleteSource: Service['deleteSource'] = (request, context) => {
    const { project } = names.source.parse(request.name);
    const io = { input: wire.DeleteSourceRequestSchema, output: wire.DeleteSourceResponseSchema };
    return mutate({ ledger, method: context.method, project, ...io }, request, async ({ id }) => {
      if (!(await store.sources.get(request.name))) throw notFound(request.name);
      const user = await viewThat(store, project, (view) => view.source === request.name);
      if (user) throw wrongState(`${user} uses the source; delete the view first`, 'SOURCE_IN_USE');
      const data = { name: request.name };
      const event = draft(featuresEvents.sourceDeleted, {
        id,
        project,
        resource: request.name,
        timeMs: now(),
        data,
      });
      const expect = versionOfEtag(request.etag, 'etag');
      await store.sources.remove(request.name, {
        emit: [event],
        ...(expect === undefined ? {} : { expect }),
      });
      return {};
    });
  };

  const uploadSource = async (requests: AsyncIterable<wire.UploadSourceRequest>, context: CallContext) => {
    const stream = requests[Symbol.asyncIterator]();
    const first = await stream.next();
    if (first.done) throw invalidField('parent', 'missing', 'a first message with the project');
    const { parent, expectedDigest } = first.value;
    names.project.parse(parent, 'parent');
    async function* bytes() {
      for (let next = first; !next.done; next = await stream.next()) yield next.value.data;
    }
    const stored = await parts.blobs.put(bytes(), {
      maxBytes: parts.maxUploadBytes,
      signal: context.signal,
      ...(expectedDigest === '' ? {} : { expect: expectedDigest as `sha256:${string}` }),
    });
    return { digest: stored.digest, sizeBytes: BigInt(stored.sizeBytes) };
  };

  return {
    applyEntity,
    deleteEntity,
    applySource,
    deleteSource,
    uploadSource,
    getEntity: async ({ name }) => {
      const held = await store.entities.get(name);
      if (!held) throw notFound(name);
      return { entity: entityMessage(held) };
    },
    listEntities: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const { items, nextPageToken } = await pageOf(store.entities, request, { where: { project } });
      return { entities: items.map(entityMessage), nextPageToken };
    },
    getSource: async ({ name }) => {
      const held = await store.sources.get(name);
      if (!held) throw notFound(name);
      return { source: sourceMessage(held) };
    },
    listSources: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const { items, nextPageToken } = await pageOf(store.sources, request, { where: { project } });
      return { sources: items.map(sourceMessage), nextPageToken };
    },
  } satisfies Partial<Service>;
}

function readSource(wanted: wire.Source, project: string): Omit<Source, 'columns'> {
  const { location, csvDelimiter, description } = wanted;
  if (location.case === undefined) throw invalidField('source.path', 'missing', 'path or digest');
  if (/[\r\n"]/.test(csvDelimiter))
    throw invalidField('source.csv_delimiter', 'a quote or line end', 'another');
  return {
    project,
    location:
      location.case === 'path'
        ? { kind: 'path', path: location.value }
        : { kind: 'blob', digest: location.value as `sha256:${string}` },
    format: nameIn(wireFormats, wanted.format)!,
    csvDelimiter,
    description,
    tags: tagsOf(wanted.tags),
  };
}
