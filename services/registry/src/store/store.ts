import type { DocumentStore, Versioned } from '@millrace/documents';
import { type CodedError, notFound } from '@millrace/errors';
import type { Decision } from '../domain/decision.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { Gate } from '../domain/gate.ts';
import { type ModelLine, newLine } from '../domain/line.ts';
import type { Model } from '../domain/model.ts';
import type { ModelVersion } from '../domain/version.ts';
import {
  decisionSpec,
  edgeSpec,
  evaluationSpec,
  gateSpec,
  lineSpec,
  modelSpec,
  versionSpec,
} from './collections.ts';
import { gateKey, type ModelRef, modelKey, versionKey } from './keys.ts';
import { modelName, versionName } from './names.ts';

/** The registry's collections and the questions asked of them in its own words. */
export type RegistryStore = ReturnType<typeof registryStore>;

export function registryStore(documents: DocumentStore) {
  const models = documents.collection(modelSpec);
  const lines = documents.collection(lineSpec);
  const versions = documents.collection(versionSpec);
  const evaluations = documents.collection(evaluationSpec);
  const gates = documents.collection(gateSpec);
  const decisions = documents.collection(decisionSpec);
  const edges = documents.collection(edgeSpec);

  return {
    documents,
    models,
    lines,
    versions,
    evaluations,
    gates,
    decisions,
    edges,

    /** NOT_FOUND when there is no such model. */
    async model(ref: ModelRef): Promise<Versioned<Model>> {
      return present(await models.get(modelKey(ref)), () => notFound(modelName(ref)));
    },

    /** The line of a model; a fresh one when nothing was numbered or aliased yet. */
    async line(ref: ModelRef): Promise<ModelLine> {
      return (await lines.get(modelKey(ref)))?.doc ?? newLine(ref.project, ref.model);
    },

    /** NOT_FOUND when there is no such version or it was deleted. */
    async version(ref: ModelRef & { readonly version: number }): Promise<Versioned<ModelVersion>> {
      const found = await versions.get(versionKey(ref));
      return present(found?.doc.state === 'DELETED' ? undefined : found, () => notFound(versionName(ref)));
    },

    /** The gates of an alias, ordered by name. */
    async gatesOf(ref: ModelRef, alias: string): Promise<readonly Gate[]> {
      const where = { modelKey: modelKey(ref), alias };
      const page = await gates.find({ where, orderBy: [{ field: 'gate' }], limit: 1000 });
      return page.items.map((item) => item.doc);
    },

    gate: (ref: ModelRef & { readonly gate: string }) => gates.get(gateKey(ref)),

    /**
     * The evaluations of a version that gates may need, newest first: the newest ones, and those on the named data sets however
     * long ago.
     */
    async evaluationsOf(
      ref: ModelRef & { readonly version: number },
      datasets: readonly string[],
    ): Promise<readonly Evaluation[]> {
      const key = versionKey(ref);
      const newestFirst = [{ field: 'id', direction: 'desc' }] as const;
      const pages = await Promise.all([
        evaluations.find({ where: { versionKey: key }, orderBy: newestFirst, limit: 200 }),
        ...datasets.map((dataset) =>
          evaluations.find({ where: { versionKey: key, dataset }, orderBy: newestFirst, limit: 200 }),
        ),
      ]);
      const byId = new Map(pages.flatMap((page) => page.items).map((item) => [item.id, item.doc]));
      return [...byId].sort(([a], [b]) => (a < b ? 1 : -1)).map(([, evaluation]) => evaluation);
    },

    decision: (id: string): Promise<Versioned<Decision> | undefined> => decisions.get(id),
  };
}

/** The thing, or an error that says it is not there. */
export function present<T>(found: T | undefined, missing: () => CodedError): T {
  if (found === undefined) throw missing();
  return found;
}
