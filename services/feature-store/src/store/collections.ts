import { defineCollection } from '@millrace/documents';
import type { Entity, FeatureView, Source } from '../domain/definition.ts';
import type { Materialization, TrainingSet } from '../domain/job.ts';
import type { OnlineDoc } from './online-doc.ts';

/** A batch of pushed rows: the record from which online values and training sets are made. Its id begins with the view's uid. */
export interface PushedChunk {
  readonly uid: string;
  readonly project: string;
  /** The resource name of the view. */
  readonly view: string;
  /** The version of the view whose online values hold the rows, or are to hold them. */
  readonly version: number;
  /** Whether all its rows are in the online values of that version. */
  readonly applied: boolean;
  readonly rowCount: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** The rows as a binary ColumnBatch; where they are too large for a document, the digest of a blob. */
  readonly rows: Uint8Array | null;
  readonly digest: string;
}

/** Online values and pushed rows that nothing refers to any more. */
export interface Garbage {
  /** The resource name the view had. */
  readonly view: string;
  readonly uid: string;
  /** A version that is over; null when the view is gone. */
  readonly version: number | null;
}

/** Entities, sources and views, each named by its resource name, which is also the id. */
const byProject = <T extends { readonly project: string }>(name: string) =>
  defineCollection({ name, fields: { project: (doc: T) => doc.project }, indexes: [['project']] });

export const entities = byProject<Entity>('entities');
export const sources = byProject<Source>('sources');
export const views = byProject<FeatureView>('views');

/** Online values of one key of one version of a view; the generation is `<uid>:<version>`. */
export const online = defineCollection({
  name: 'online',
  fields: { generation: (doc: OnlineDoc) => doc.generation },
  indexes: [['generation']],
});

export const pushes = defineCollection({
  name: 'pushes',
  fields: {
    uid: (doc: PushedChunk) => doc.uid,
    applied: (doc: PushedChunk) => doc.applied,
    heldBy: (doc: PushedChunk) => (doc.applied ? doc.version : 0),
  },
  indexes: [['uid'], ['applied'], ['uid', 'heldBy']],
});

export const materializations = defineCollection({
  name: 'materializations',
  fields: {
    project: (doc: Materialization) => doc.project,
    view: (doc: Materialization) => doc.view,
    state: (doc: Materialization) => doc.state,
    createdMs: (doc: Materialization) => doc.createdMs,
  },
  indexes: [
    ['project', 'createdMs'],
    ['project', 'view', 'createdMs'],
    ['state', 'createdMs'],
  ],
});

export const trainingSets = defineCollection({
  name: 'training-sets',
  fields: {
    project: (doc: TrainingSet) => doc.project,
    state: (doc: TrainingSet) => doc.state,
    createdMs: (doc: TrainingSet) => doc.createdMs,
  },
  indexes: [
    ['project', 'createdMs'],
    ['state', 'createdMs'],
  ],
});

export const garbage = defineCollection({
  name: 'garbage',
  fields: { uid: (doc: Garbage) => doc.uid },
  indexes: [['uid']],
});

export const collections = [
  entities,
  sources,
  views,
  online,
  pushes,
  materializations,
  trainingSets,
  garbage,
] as const;
