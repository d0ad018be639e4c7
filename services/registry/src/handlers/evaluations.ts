import { RegistryService } from '@millrace/contracts/registry';
import { invalidField, wrongState } from '@millrace/errors';
import type { Handlers } from '@millrace/rpc';
import type { Evaluation } from '../domain/evaluation.ts';
import { announce } from '../message/announce.ts';
import { evaluationMessage } from '../message/resources.ts';
import type { Registry } from '../registry.ts';
import { versionKey } from '../store/keys.ts';
import { mutating } from './mutating.ts';
import { numberedVersion, pageAfter, pageLimit, requireProject, resolveVersion } from './request.ts';

type Methods = 'recordEvaluation' | 'listEvaluations';

export function evaluationHandlers(registry: Registry): Pick<Handlers<typeof RegistryService>, Methods> {
  const { store } = registry;

  return {
    async recordEvaluation(request) {
      const ref = numberedVersion(request.parent, 'parent');
      const { dataset, datasetDigest, metrics, rowCount, sourceRun } = request.evaluation!;
      requireProject(ref.project, sourceRun, 'evaluation.source_run');
      if (rowCount > Number.MAX_SAFE_INTEGER)
        throw invalidField('evaluation.row_count', String(rowCount), `at most ${Number.MAX_SAFE_INTEGER}`);
      const seen = new Set<string>();
      for (const [i, { name }] of metrics.entries()) {
        if (seen.has(name))
          throw invalidField(
            `evaluation.metrics[${i}].name`,
            `${JSON.stringify(name)} is given twice`,
            'names that differ',
          );
        seen.add(name);
      }
      const { recordEvaluation } = RegistryService.method;
      return mutating(registry, recordEvaluation, ref.project, request, async ({ id }) => {
        const { doc } = await store.version(ref);
        if (doc.state !== 'READY')
          throw wrongState(`version ${ref.version} is ${doc.state}; READY versions are evaluated`);
        const measures = metrics.map(({ name, value }) => ({ name, value }));
        const evaluation: Evaluation = {
          ...ref,
          ...{ dataset, datasetDigest, sourceRun },
          metrics: measures,
          rowCount: Number(rowCount),
        };
        const emit = announce.evaluationRecorded(id, evaluation, registry.now());
        const stored = await store.evaluations.insert(id, evaluation, { requestId: id, emit });
        return { evaluation: evaluationMessage(id, stored.doc, stored.createdAtMs) };
      });
    },

    async listEvaluations(request) {
      const ref = await resolveVersion(registry, request.parent, 'parent');
      await store.version(ref);
      const { dataset } = request;
      const page = await store.evaluations.find({
        where: { versionKey: versionKey(ref), ...(dataset ? { dataset } : {}) },
        orderBy: [{ field: 'id', direction: 'desc' }],
        limit: pageLimit(request.pageSize),
        ...pageAfter(request.pageToken),
      });
      return {
        evaluations: page.items.map((item) => evaluationMessage(item.id, item.doc, item.createdAtMs)),
        nextPageToken: page.next ?? '',
      };
    },
  };
}
