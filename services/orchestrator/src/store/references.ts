import type { AnyCollectionSpec } from '@millrace/documents';
import { type BlobReferences, refersTo } from '@millrace/service';
import type { Pipeline } from '../domain/pipeline.ts';
import type { Attempt, TaskOutput } from '../domain/task.ts';
import { emptyLog } from '../executor/executor.ts';
import {
  cacheSpecs,
  pipelineSpecs,
  runSpecs,
  scheduleSpecs,
  taskSpecs,
  triggerSpecs,
  versionSpecs,
} from './collections.ts';

/** An index of each collection by which all of it is read. */
const orders = {
  pipelines: ['project', 'name'],
  versions: ['pipeline', 'version'],
  runs: ['project', 'createdAtMs'],
  tasks: ['run', 'step', 'index'],
  cache: ['createdAtMs'],
  schedules: ['project', 'name'],
  triggers: ['project', 'name'],
} as const;

const anywhere = (spec: AnyCollectionSpec, order: readonly string[]): BlobReferences => ({
  spec,
  order,
  digestsOf: digestsIn,
});

/**
 * What may refer to a blob: a digest anywhere in a document, also inside of texts, for parameters and commands may name
 * a blob. What is found so is kept.
 */
export const possibleReferences: readonly BlobReferences[] = [
  anywhere(pipelineSpecs, orders.pipelines),
  anywhere(versionSpecs, orders.versions),
  anywhere(runSpecs, orders.runs),
  anywhere(taskSpecs, orders.tasks),
  anywhere(cacheSpecs, orders.cache),
  anywhere(scheduleSpecs, orders.schedules),
  anywhere(triggerSpecs, orders.triggers),
];

const filesOf = ({ spec }: Pipeline) =>
  [...spec.steps, ...spec.exitSteps].flatMap(({ action }) => action.files.map(({ digest }) => digest));

const logsOf = ({ stdout = '', stderr = '' }: Attempt) =>
  [stdout, stderr].filter((digest) => digest !== emptyLog);

const artifactOf = (output: TaskOutput) => (output.kind === 'artifact' ? [output.digest] : []);

/** What refers to a blob that was stored here. What is missing of it is damage; a digest in a text may be of anything. */
export const blobReferences: readonly BlobReferences[] = [
  refersTo(pipelineSpecs, orders.pipelines, filesOf),
  refersTo(versionSpecs, orders.versions, filesOf),
  refersTo(taskSpecs, orders.tasks, ({ attempts, outputs }) => [
    ...attempts.flatMap(logsOf),
    ...outputs.flatMap(artifactOf),
  ]),
  refersTo(cacheSpecs, orders.cache, ({ outputs }) => outputs.flatMap(artifactOf)),
];

function* digestsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') for (const [digest] of value.matchAll(/sha256:[0-9a-f]{64}/g)) yield digest;
  else if (typeof value === 'object' && value !== null)
    for (const part of Object.values(value)) yield* digestsIn(part);
}
