import { monitoringEvents, names } from '@millrace/contracts';
import type { ColumnBatch } from '@millrace/contracts/common';
import {
  type CreateBaselineRequest,
  CreateBaselineRequestSchema,
  CreateBaselineResponseSchema,
  type MonitoringService,
} from '@millrace/contracts/monitoring';
import { alreadyExists, invalidField, isCoded, notFound } from '@millrace/errors';
import { draft } from '@millrace/events';
import type { Handlers } from '@millrace/rpc';
import { type Mutation, mutate, pageOf } from '@millrace/service';
import type { ColumnData } from '../domain/column.ts';
import { profileReference, sampleSizeOf } from '../domain/profile.ts';
import { baselineKey } from '../store/close.ts';
import type { BaselineDoc } from '../store/collections.ts';
import { fromBatch, joinColumns, toBytes } from '../store/column-codec.ts';
import { baselineMessage } from '../store/messages.ts';
import type { Context } from './context.ts';

type BaselineHandlers = Pick<
  Handlers<typeof MonitoringService>,
  'createBaseline' | 'getBaseline' | 'listBaselines'
>;

/** Reading a training set may take this long. */
const readMs = 120_000;

/** Baselines: create, get, list. */
export function baselineHandlers(context: Context): BaselineHandlers {
  const { store, ledger, now } = context;

  async function create(request: CreateBaselineRequest, mutation: Mutation) {
    const { project } = names.project.parse(request.parent, 'parent');
    const parsed = request.name ? names.baseline.parse(request.name) : { project, baseline: mutation.id };
    const name = names.baseline.format(parsed);
    if (parsed.project !== project)
      throw invalidField('name', 'is of another project', `a baseline of ${request.parent}`);
    const key = baselineKey(name);
    const { requestId } = mutation;
    // Said before a training set is read; a retry of the call that made it is not refused by the store.
    if (!requestId && (await store.baselines.get(key))) throw alreadyExists(name);
    const { source, columns } = await readRows(request, context);
    const rowCount = columns[0]?.values.length ?? 0;
    if (rowCount === 0) throw invalidField('rows', 'hold no row', 'at least one row');
    const doc: BaselineDoc = {
      project,
      id: parsed.baseline,
      source,
      rowCount,
      columns: columns
        .map((column) => profileReference(column, sampleSizeOf(columns.length)))
        .map(({ sample, ...profile }) => ({ ...profile, sampleBytes: toBytes(sample) })),
      metrics: request.metrics.map(({ key, value }) => [key, value] as const),
      createdMs: now(),
    };
    const data = { baseline: name, source, rowCount: BigInt(rowCount) };
    const emit = [draft(monitoringEvents.baselineCreated, { project, resource: name, timeMs: now(), data })];
    try {
      return await store.baselines.insert(key, doc, { emit, ...(requestId ? { requestId } : {}) });
    } catch (error) {
      throw isCoded(error, 'already_exists') ? alreadyExists(name) : error;
    }
  }

  return {
    createBaseline: (request, { method }) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const options = {
        ledger,
        method,
        project,
        input: CreateBaselineRequestSchema,
        output: CreateBaselineResponseSchema,
      };
      return mutate(options, request, async (mutation) => ({
        baseline: baselineMessage(await create(request, mutation), true),
      }));
    },
    getBaseline: async ({ name }) => {
      const found = await store.baselines.get(baselineKey(name));
      if (!found) throw notFound(name);
      return { baseline: baselineMessage(found, true) };
    },
    listBaselines: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const orderBy = [{ field: 'createdMs', direction: 'desc' }] as const;
      const page = await store.baselines.find({ where: { project }, orderBy, ...pageOf(request) });
      return {
        baselines: page.items.map((item) => baselineMessage(item, false)),
        nextPageToken: page.next ?? '',
      };
    },
  };
}

async function readRows(
  request: CreateBaselineRequest,
  { features }: Context,
): Promise<{ source: string; columns: ColumnData[] }> {
  const { rows } = request;
  if (rows.case === 'batch') return { source: '', columns: fromBatch(rows.value, 'batch') };
  if (rows.case !== 'trainingSet') throw invalidField('rows', 'are not given', 'training_set or batch');
  if (
    names.trainingSet.parse(rows.value, 'training_set').project !==
    names.project.parse(request.parent).project
  )
    throw invalidField('training_set', 'is of another project', `a training set of ${request.parent}`);
  const pages: ColumnBatch[] = [];
  for await (const page of features.readTrainingSet({ name: rows.value }, { deadlineMs: readMs })) {
    if (page.rows) pages.push(page.rows);
  }
  const parts = pages.map((page) => fromBatch(page, 'training_set'));
  const columns = (parts[0] ?? []).map(({ name }) =>
    joinColumns(parts.flatMap((part) => part.filter((column) => column.name === name))),
  );
  return { source: rows.value, columns };
}
