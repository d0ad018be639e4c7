import { monitoringEvents, names } from '@millrace/contracts';
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
import { profileReference, sampleSizeOf } from '../domain/profile.ts';
import { baselineKey } from '../store/close.ts';
import type { BaselineDoc } from '../store/collections.ts';
import { toBytes } from '../store/column-codec.ts';
import { baselineMessage } from '../store/messages.ts';
import { readRows } from './baseline-rows.ts';
import type { Context } from './context.ts';

type BaselineHandlers = Pick<
  Handlers<typeof MonitoringService>,
  'createBaseline' | 'getBaseline' | 'listBaselines'
>;

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
