import { defineCollection } from '@millrace/documents';
import type { Artifact } from '../domain/artifact.ts';
import type { PointColumns } from '../domain/columns.ts';
import type { DatasetInput } from '../domain/dataset-input.ts';
import type { Experiment } from '../domain/experiment.ts';
import type { StoredRun } from './stored-run.ts';

const stateOf = (doc: { readonly deletedAtMs: number | null }) =>
  doc.deletedAtMs === null ? 'ACTIVE' : 'DELETED';

/** `<project>/<number>` → experiment. */
export const experimentsSpec = defineCollection({
  name: 'experiments',
  fields: {
    project: (doc: Experiment) => doc.project,
    number: (doc: Experiment) => doc.number,
    state: stateOf,
  },
  indexes: [
    ['project', 'number'],
    ['project', 'state', 'number'],
  ],
});

/** Who holds a display name. */
export interface NameClaim {
  readonly number: number;
  readonly claimedAtMs: number;
}

/** `<project>/<display name>` → the experiment that holds it: what makes names unique. */
export const namesSpec = defineCollection<NameClaim, never>({
  name: 'experiment-names',
  fields: {},
  indexes: [],
});

/** `<project>` → the next free experiment number. */
export const countersSpec = defineCollection<{ readonly next: number }, never>({
  name: 'experiment-counters',
  fields: {},
  indexes: [],
});

/** The pipeline task that a run belongs to, by its tag; longer texts are no task's name. */
function taskOf(run: StoredRun): string | null {
  const task = run.tags.find(({ key }) => key === 'millrace.task')?.value;
  return task !== undefined && task.length <= 1024 ? task : null;
}

/** `<project>/<run>` → run. Ids sort by creation time, so the field `run` orders runs by age. */
export const runsSpec = defineCollection({
  name: 'runs',
  fields: {
    project: (doc: StoredRun) => doc.project,
    experiment: (doc: StoredRun) => `${doc.project}/${doc.experiment}`,
    state: stateOf,
    run: (doc: StoredRun) => doc.id,
    task: taskOf,
  },
  indexes: [
    ['project', 'run'],
    ['project', 'state', 'run'],
    ['experiment', 'run'],
    ['experiment', 'state', 'run'],
    ['project', 'task'],
  ],
});

/** The points of one LogBatch call. Written once and never changed. */
export interface Batch extends PointColumns {
  readonly project: string;
  readonly run: string;
  /** When it was logged. */
  readonly atMs: number;
  /** SHA-256 of the request, to tell a retry from another request with the same id. */
  readonly bodyDigest: string;
}

/** `<project>/<run>/<request>` → batch. */
export const batchesSpec = defineCollection({
  name: 'batches',
  fields: { run: (doc: Batch) => `${doc.project}/${doc.run}`, atMs: (doc: Batch) => doc.atMs },
  indexes: [['run', 'atMs']],
});

/** Digest of run, name and digest → dataset input. */
export const inputsSpec = defineCollection({
  name: 'inputs',
  fields: {
    run: (doc: DatasetInput) => `${doc.project}/${doc.run}`,
    place: (doc: DatasetInput) => doc.place,
  },
  indexes: [['run', 'place']],
});

/** Digest of run and path → artifact. */
export const artifactsSpec = defineCollection({
  name: 'artifacts',
  fields: { run: (doc: Artifact) => `${doc.project}/${doc.run}`, path: (doc: Artifact) => doc.path },
  indexes: [['run', 'path']],
});

export const collections = [
  experimentsSpec,
  namesSpec,
  countersSpec,
  runsSpec,
  batchesSpec,
  inputsSpec,
  artifactsSpec,
] as const;
