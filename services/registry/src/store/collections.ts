import { defineCollection } from '@millrace/documents';
import type { Decision } from '../domain/decision.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { Gate } from '../domain/gate.ts';
import type { ModelLine } from '../domain/line.ts';
import type { Edge } from '../domain/lineage.ts';
import type { Model } from '../domain/model.ts';
import type { ModelVersion } from '../domain/version.ts';
import { modelKey, versionKey } from './keys.ts';

export const modelSpec = defineCollection<Model, 'project' | 'model'>({
  name: 'models',
  fields: { project: (doc) => doc.project, model: (doc) => doc.model },
  indexes: [['project', 'model']],
});

/** One for each name a model ever had; read by id only. */
export const lineSpec = defineCollection<ModelLine, 'project'>({
  name: 'model_lines',
  fields: { project: (doc) => doc.project },
  indexes: [],
});

type VersionField = 'project' | 'modelKey' | 'version' | 'state' | 'live' | 'digest';
export const versionSpec = defineCollection<ModelVersion, VersionField>({
  name: 'versions',
  fields: {
    project: (doc) => doc.project,
    modelKey: (doc) => modelKey(doc),
    version: (doc) => doc.version,
    state: (doc) => doc.state,
    live: (doc) => doc.state !== 'DELETED',
    digest: (doc) => doc.digest,
  },
  indexes: [
    ['modelKey', 'live', 'version'],
    ['modelKey', 'state', 'version'],
    ['project', 'digest', 'live'],
    ['state'],
  ],
});

export const evaluationSpec = defineCollection<Evaluation, 'versionKey' | 'dataset'>({
  name: 'evaluations',
  fields: { versionKey: (doc) => versionKey(doc), dataset: (doc) => doc.dataset },
  indexes: [['versionKey'], ['versionKey', 'dataset']],
});

export const gateSpec = defineCollection<Gate, 'modelKey' | 'alias' | 'gate'>({
  name: 'gates',
  fields: { modelKey: (doc) => modelKey(doc), alias: (doc) => doc.alias, gate: (doc) => doc.gate },
  indexes: [
    ['modelKey', 'gate'],
    ['modelKey', 'alias', 'gate'],
  ],
});

export const decisionSpec = defineCollection<Decision, 'modelKey' | 'alias' | 'outcome'>({
  name: 'decisions',
  fields: { modelKey: (doc) => modelKey(doc), alias: (doc) => doc.alias, outcome: (doc) => doc.outcome },
  indexes: [['modelKey'], ['modelKey', 'alias'], ['outcome']],
});

export const edgeSpec = defineCollection<Edge, 'from' | 'to'>({
  name: 'lineage_edges',
  fields: { from: (doc) => doc.from, to: (doc) => doc.to },
  indexes: [['from'], ['to']],
});

/** Everything the registry stores. */
export const collections = [
  modelSpec,
  lineSpec,
  versionSpec,
  evaluationSpec,
  gateSpec,
  decisionSpec,
  edgeSpec,
];
