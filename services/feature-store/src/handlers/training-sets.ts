import { create, toBinary } from '@bufbuild/protobuf';
import { names } from '@millrace/contracts';
import { ColumnBatchSchema } from '@millrace/contracts/common';
import * as wire from '@millrace/contracts/features';
import { alreadyExists, invalidField, notFound, wrongState } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { mutate } from '@millrace/service';
import { readBatch, writeBatch } from '../batch.ts';
import type { ColumnSchema } from '../domain/definition.ts';
import { type EntityRows, newJob, type TrainingSet } from '../domain/job.ts';
import { resolve, viewsOf } from '../domain/reference.ts';
import { describeRows } from '../duckdb/describe.ts';
import { readPages } from '../duckdb/read-pages.ts';
import { trainingSetMessage } from '../job-messages.ts';
import { loadViews, maxInlineRows } from '../jobs/training-set.ts';
import { type HandlerParts, pageOf } from './context.ts';
import { tagsOf } from './definitions.ts';
import { follow } from './watch.ts';

type Service = Handlers<typeof wire.FeatureStoreService>;

const pieceBytes = 256 * 1024;
const maxPageValues = 500_000;

/** Training sets. */
export function trainingSetHandlers({ store, blobs, sources, now }: HandlerParts) {
  async function entityRowsOf(
    wanted: wire.TrainingSet,
    project: string,
  ): Promise<{ readonly entityRows: EntityRows; readonly columns: readonly ColumnSchema[] }> {
    const given = wanted.entityRows;
    if (given.case === 'rows') {
      const table = readBatch(given.value, 'training_set.rows', maxInlineRows);
      const columns = table.columns.map(({ name, type }) => ({ name, type }));
      const bytes = toBinary(ColumnBatchSchema, create(ColumnBatchSchema, writeBatch(table)));
      const { digest } = await blobs.put(bytes);
      return { entityRows: { kind: 'rows', digest }, columns };
    }
    if (given.case === undefined) throw invalidField('training_set.rows', 'missing', 'rows or query');
    const { source, sql } = given.value;
    const { project: owner } = names.source.parse(source, 'training_set.query.source');
    if (owner !== project || !(await store.sources.get(source))) {
      throw invalidField(
        'training_set.query.source',
        `${source} does not exist`,
        'a source of the same project',
      );
    }
    const columns = await describeRows(
      sources.engine,
      await sources.open(source),
      sql,
      'training_set.query.sql',
    );
    return { entityRows: { kind: 'query', source, sql }, columns };
  }

  const createTrainingSet: Service['createTrainingSet'] = (request, context) => {
    const { project } = names.project.parse(request.parent, 'parent');
    const wanted = request.trainingSet!;
    const io = { input: wire.CreateTrainingSetRequestSchema, output: wire.CreateTrainingSetResponseSchema };
    return mutate(
      { ledger: store.ledger, method: context.method, project, ...io },
      request,
      async (mutation) => {
        const set = request.trainingSetId || mutation.id;
        const id = names.trainingSet.format({ project, set });
        const known = await store.trainingSets.get(id);
        if (known && known.doc.createdBy !== mutation.id) throw alreadyExists(id);
        const { entityRows, columns } = await entityRowsOf(wanted, project);
        await checkWanted(wanted, project, columns);
        const doc: TrainingSet = {
          ...newJob(project, now()),
          createdBy: mutation.id,
          features: [...wanted.features],
          entityRows,
          entityColumns: columns,
          timestampColumn: wanted.timestampColumn,
          labelColumns: [...wanted.labelColumns],
          fullNames: wanted.fullFeatureNames,
          description: wanted.description,
          tags: tagsOf(wanted.tags),
          ...{ progress: 0, stage: '', digest: '', sizeBytes: 0, rowCount: 0, columns: [], viewVersions: [] },
        };
        const held = known ?? (await store.trainingSets.insert(id, doc));
        return { trainingSet: trainingSetMessage(held) };
      },
    );
  };

  /** What can be known to be wrong before the work begins. */
  async function checkWanted(wanted: wire.TrainingSet, project: string, columns: readonly ColumnSchema[]) {
    const types = new Map(columns.map((c) => [c.name, c.type]));
    const allowed = [...types.keys()].slice(0, 50).join(', ');
    const own = [...types.keys()].find((name) => /^mr_(rid|t)$/i.test(name));
    if (own) throw invalidField('training_set.rows', `a column is named ${own}`, 'other names');
    if (types.get(wanted.timestampColumn) !== 'timestamp') {
      const wrong = `the entity rows have no column ${wanted.timestampColumn} of type timestamp`;
      throw invalidField('training_set.timestamp_column', wrong, allowed);
    }
    wanted.labelColumns.forEach((name, i) => {
      const field = `training_set.label_columns[${i}]`;
      if (!types.has(name)) throw invalidField(field, `the entity rows have no column ${name}`, allowed);
    });
    const field = 'training_set.features';
    const views = await loadViews(store, project, viewsOf(wanted.features, field));
    const options = { full: wanted.fullFeatureNames, taken: [...types.keys()], field };
    for (const { view } of resolve(wanted.features, views, options)) {
      for (const key of view.joinKeys) {
        if (types.get(key.name) === key.type) continue;
        const wrong = `the entity rows have no column ${key.name} of type ${key.type}, which ${view.view} needs`;
        throw invalidField('training_set.entity_rows', wrong, allowed);
      }
    }
  }

  async function finished(name: string): Promise<TrainingSet & { readonly digest: `sha256:${string}` }> {
    const held = await store.trainingSets.get(name);
    if (!held) throw notFound(name);
    if (held.doc.state !== 'succeeded') {
      throw wrongState(
        `${name} is ${held.doc.state}; follow it with WatchTrainingSet`,
        'TRAINING_SET_NOT_READY',
      );
    }
    return { ...held.doc, digest: held.doc.digest as `sha256:${string}` };
  }

  return {
    createTrainingSet,
    getTrainingSet: async ({ name }) => {
      const held = await store.trainingSets.get(name);
      if (!held) throw notFound(name);
      return { trainingSet: trainingSetMessage(held) };
    },
    listTrainingSets: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const { items, nextPageToken } = await pageOf(store.trainingSets, request, {
        where: { project },
        orderBy: [{ field: 'createdMs', direction: 'desc' }],
      });
      const short = items.map((held) => trainingSetMessage({ ...held, doc: { ...held.doc, columns: [] } }));
      return { trainingSets: short, nextPageToken };
    },
    watchTrainingSet: async function* ({ name }, { signal }) {
      for await (const held of follow(store.trainingSets, name, signal)) {
        yield { trainingSet: trainingSetMessage(held) };
      }
    },
    downloadTrainingSet: async function* ({ name }) {
      const { digest } = await finished(name);
      for await (const chunk of blobs.get(digest)) {
        for (let i = 0; i < chunk.length; i += pieceBytes) yield { data: chunk.subarray(i, i + pieceBytes) };
      }
    },
    readTrainingSet: async function* (request, { signal }) {
      const set = await finished(request.name);
      const wanted = request.columns.map((name, i) => {
        const column = set.columns.find((c) => c.name === name);
        if (column) return column;
        throw invalidField(
          `columns[${i}]`,
          `there is no column ${name}`,
          set.columns.map((c) => c.name).join(', '),
        );
      });
      const columns = (wanted.length > 0 ? wanted : set.columns).map(({ name, type }) => ({ name, type }));
      const file = await blobs.localPath(set.digest);
      // Wide rows come in smaller pages, so that each fits its message.
      const pageRows = Math.min(request.batchRows || 10_000, Math.ceil(maxPageValues / columns.length));
      for await (const page of readPages(sources.engine, file, columns, pageRows, signal)) {
        yield { rows: writeBatch(page) };
      }
    },
  } satisfies Partial<Service>;
}
