import { names } from '@millrace/contracts';
import * as wire from '@millrace/contracts/features';
import { featuresEvents } from '@millrace/contracts/features-events';
import { invalidField, notFound } from '@millrace/errors';
import { draft } from '@millrace/events';
import type { Handlers } from '@millrace/rpc';
import { mutate, versionOfEtag } from '@millrace/service';
import { decideView, type WantedView } from '../domain/decide.ts';
import type { ColumnSchema, Entity } from '../domain/definition.ts';
import { describeRows } from '../duckdb/describe.ts';
import { garbageId } from '../jobs/sweep.ts';
import { microsOfDuration, nameIn, viewMessage, wireFunctions } from '../messages.ts';
import type { Garbage } from '../store/collections.ts';
import { applyDocument, type HandlerParts, pageOf } from './context.ts';
import { columnsOf, tagsOf } from './definitions.ts';

type Service = Handlers<typeof wire.FeatureStoreService>;

/** Feature views. */
export function viewHandlers(parts: HandlerParts) {
  const { store, sources, now } = parts;
  const { ledger } = store;

  const leave = (entry: Garbage) =>
    store.garbage.upsert(garbageId(entry), (doc) => (doc ? undefined : { doc: entry }));

  const applyFeatureView: Service['applyFeatureView'] = (request, context) => {
    const wanted = request.featureView!;
    const { project } = names.featureView.parse(wanted.name, 'feature_view.name');
    const io = { input: wire.ApplyFeatureViewRequestSchema, output: wire.ApplyFeatureViewResponseSchema };
    return mutate({ ledger, method: context.method, project, ...io }, request, async (mutation) => {
      const spec = readView(wanted, project);
      const entities = await entitiesOf(wanted.entities, project);
      const columns = await rowColumns(wanted, project);
      const before = (await store.views.get(wanted.name))?.doc;
      if (before && decideView(spec, before, entities, columns, '').newVersion) {
        await leave({ view: wanted.name, uid: before.uid, version: before.version });
      }
      const options = { etag: wanted.etag, field: 'feature_view', mutation, now };
      const held = await applyDocument(store.views, wanted.name, options, (current) => {
        const { view, newVersion } = decideView(spec, current, entities, columns, mutation.id);
        return {
          doc: view,
          emit: (made) => {
            const data = { view: viewMessage(made), newVersion };
            return [draft(featuresEvents.viewApplied, { project, resource: made.id, timeMs: now(), data })];
          },
        };
      });
      return { featureView: viewMessage(held) };
    });
  };

  async function entitiesOf(wanted: readonly string[], project: string): Promise<readonly Entity[]> {
    const held = await store.entities.getMany(wanted);
    return held.map((entity, i) => {
      const field = `feature_view.entities[${i}]`;
      if (!entity || entity.doc.project !== project) {
        throw invalidField(field, `${wanted[i]} does not exist`, 'entities of the same project');
      }
      return entity.doc;
    });
  }

  async function rowColumns(wanted: wire.FeatureView, project: string): Promise<readonly ColumnSchema[]> {
    if (wanted.source === '') {
      if (wanted.sql !== '')
        throw invalidField('feature_view.sql', 'there is no source', 'none without a source');
      const given = columnsOf(wanted.columns);
      if (given.length > 0 && new Set(given.map((c) => c.name)).size === given.length) return given;
      throw invalidField(
        'feature_view.columns',
        'missing or twice the same',
        'columns, as there is no source',
      );
    }
    const { project: owner } = names.source.parse(wanted.source, 'feature_view.source');
    if (owner !== project || !(await store.sources.get(wanted.source))) {
      throw invalidField(
        'feature_view.source',
        `${wanted.source} does not exist`,
        'a source of the same project',
      );
    }
    return describeRows(sources.engine, await sources.open(wanted.source), wanted.sql, 'feature_view.sql');
  }

  const deleteFeatureView: Service['deleteFeatureView'] = (request, context) => {
    const { project } = names.featureView.parse(request.name);
    const io = { input: wire.DeleteFeatureViewRequestSchema, output: wire.DeleteFeatureViewResponseSchema };
    return mutate({ ledger, method: context.method, project, ...io }, request, async ({ id }) => {
      const { name } = request;
      const held = await store.views.get(name);
      if (!held) throw notFound(name);
      const { uid, version } = held.doc;
      await leave({ view: name, uid, version });
      await leave({ view: name, uid, version: null });
      const event = draft(featuresEvents.viewDeleted, {
        id,
        project,
        resource: name,
        timeMs: now(),
        data: { name },
      });
      const expect = versionOfEtag(request.etag, 'etag');
      await store.views.remove(name, { emit: [event], ...(expect === undefined ? {} : { expect }) });
      return {};
    });
  };

  return {
    applyFeatureView,
    deleteFeatureView,
    getFeatureView: async ({ name }) => {
      const held = await store.views.get(name);
      if (!held) throw notFound(name);
      return { featureView: viewMessage(held) };
    },
    listFeatureViews: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const { items, nextPageToken } = await pageOf(store.views, request, { where: { project } });
      return { featureViews: items.map(viewMessage), nextPageToken };
    },
  } satisfies Partial<Service>;
}

function readView(wanted: wire.FeatureView, project: string): WantedView {
  const { view } = names.featureView.parse(wanted.name, 'feature_view.name');
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(view)) {
    throw invalidField('feature_view.name', `the id ${JSON.stringify(view)}`, '[A-Za-z_][A-Za-z0-9_]*');
  }
  return {
    project,
    view,
    entities: [...wanted.entities],
    source: wanted.source,
    sql: wanted.sql,
    timestampColumn: wanted.timestampColumn,
    createdColumn: wanted.createdColumn,
    ttlUs: wanted.ttl ? microsOfDuration(wanted.ttl, 'feature_view.ttl') : 0,
    features: wanted.features.map(({ name, column, description }) => ({
      ...{ name, description },
      column: column === '' ? name : column,
    })),
    aggregations: wanted.aggregations.map((a, i) => ({
      name: a.name,
      fn: nameIn(wireFunctions, a.function)!,
      column: a.column,
      windowUs: microsOfDuration(a.window!, `feature_view.aggregations[${i}].window`),
      places: a.decimalPlaces ?? null,
      description: a.description,
    })),
    description: wanted.description,
    tags: tagsOf(wanted.tags),
  };
}
