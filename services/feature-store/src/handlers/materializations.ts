import { names } from '@millrace/contracts';
import * as wire from '@millrace/contracts/features';
import { invalidField, notFound } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import { mutate } from '@millrace/service';
import { type Materialization, newJob } from '../domain/job.ts';
import { materializationMessage } from '../job-messages.ts';
import { microsOf } from '../messages.ts';
import { type HandlerParts, pageOf } from './context.ts';
import { follow } from './watch.ts';

type Service = Handlers<typeof wire.FeatureStoreService>;

/** Materializations. */
export function materializationHandlers({ store, now }: HandlerParts) {
  const createMaterialization: Service['createMaterialization'] = (request, context) => {
    const { project } = names.project.parse(request.parent, 'parent');
    const wanted = request.materialization!;
    const io = {
      input: wire.CreateMaterializationRequestSchema,
      output: wire.CreateMaterializationResponseSchema,
    };
    return mutate(
      { ledger: store.ledger, method: context.method, project, ...io },
      request,
      async (mutation) => {
        const { project: owner } = names.featureView.parse(wanted.view, 'materialization.view');
        const view = (await store.views.get(wanted.view))?.doc;
        if (owner !== project || !view) throw notFound(wanted.view);
        const endUs = wanted.endTime ? microsOf(wanted.endTime, 'materialization.end_time') : now() * 1000;
        const startUs = wanted.startTime ? microsOf(wanted.startTime, 'materialization.start_time') : null;
        if (startUs !== null && startUs >= endUs) {
          throw invalidField('materialization.start_time', 'not before the end', 'a time before end_time');
        }
        const id = names.materialization.format({ project, materialization: mutation.id });
        const doc: Materialization = {
          ...newJob(project, now()),
          ...{ view: wanted.view, viewUid: view.uid, viewVersion: view.version, startUs, endUs },
          ...{ full: wanted.full, rowsRead: 0, keysTotal: 0, keysWritten: 0 },
        };
        const requestId = mutation.requestId ? { requestId: mutation.requestId } : {};
        const held = await store.materializations.insert(id, doc, requestId);
        return { materialization: materializationMessage(held) };
      },
    );
  };

  return {
    createMaterialization,
    getMaterialization: async ({ name }) => {
      const held = await store.materializations.get(name);
      if (!held) throw notFound(name);
      return { materialization: materializationMessage(held) };
    },
    listMaterializations: async (request) => {
      const { project } = names.project.parse(request.parent, 'parent');
      const { items, nextPageToken } = await pageOf(store.materializations, request, {
        where: { project, ...(request.view === '' ? {} : { view: request.view }) },
        orderBy: [{ field: 'createdMs', direction: 'desc' }],
      });
      return { materializations: items.map(materializationMessage), nextPageToken };
    },
    watchMaterialization: async function* ({ name }, { signal }) {
      for await (const held of follow(store.materializations, name, signal)) {
        yield { materialization: materializationMessage(held) };
      }
    },
  } satisfies Partial<Service>;
}
