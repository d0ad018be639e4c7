import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { type EventType, names, trackingEvents } from '@millrace/contracts';
import type { RunSnapshotSchema } from '@millrace/contracts/tracking';
import type { EventDraft } from '@millrace/documents';
import { draft } from '@millrace/events';
import type { Artifact } from './domain/artifact.ts';
import type { BatchSummary } from './domain/batch-summary.ts';
import type { DatasetInput } from './domain/dataset-input.ts';
import type { Experiment, ExperimentChange } from './domain/experiment.ts';
import type { Pair } from './domain/pair.ts';
import type { Run, RunChange } from './domain/run.ts';
import { experimentName, runName, statusOf, timeOf, toMetric } from './messages.ts';

/** How much of lists and texts events tell; the rest is read from the service. */
const toldItems = 100;
const toldChars = 500;
const toldSourceChars = 8192;

/** The events of an experiment's changes, as they are recorded with it. */
export const experimentDrafts = {
  created: (doc: Experiment, timeMs: number): EventDraft =>
    ofExperiment(trackingEvents.experimentCreated, doc, timeMs, { ...headOf(doc), tags: told(doc.tags) }),
  updated: ({ experiment, changed }: ExperimentChange, timeMs: number): EventDraft =>
    ofExperiment(trackingEvents.experimentUpdated, experiment, timeMs, {
      ...headOf(experiment),
      tags: told(experiment.tags),
      changed: [...changed],
    }),
  deleted: (doc: Experiment, timeMs: number): EventDraft =>
    ofExperiment(trackingEvents.experimentDeleted, doc, timeMs, headOf(doc)),
  restored: (doc: Experiment, timeMs: number): EventDraft =>
    ofExperiment(trackingEvents.experimentRestored, doc, timeMs, headOf(doc)),
};

/** The events of a run's changes, as they are recorded with it. */
export const runDrafts = {
  created: (run: Run, timeMs: number): EventDraft =>
    ofRun(trackingEvents.runCreated, run, timeMs, { run: snapshot(run) }),
  changed: ({ run, changed, finished }: RunChange, timeMs: number): EventDraft =>
    finished
      ? ofRun(trackingEvents.runFinished, run, timeMs, { run: snapshot(run) })
      : ofRun(trackingEvents.runUpdated, run, timeMs, { run: snapshot(run), changed: [...changed] }),
  deleted: (run: Run, timeMs: number): EventDraft =>
    ofRun(trackingEvents.runDeleted, run, timeMs, { run: snapshot(run) }),
  restored: (run: Run, timeMs: number): EventDraft =>
    ofRun(trackingEvents.runRestored, run, timeMs, { run: snapshot(run) }),
};

/** One event for a whole batch. */
export function metricsLogged(
  run: Run,
  batch: string,
  pointCount: number,
  { latest, minStep, maxStep }: BatchSummary,
  timeMs: number,
): EventDraft {
  return ofRun(trackingEvents.metricsLogged, run, timeMs, {
    run: runName(run.project, run.id),
    experiment: experimentName(run.project, run.experiment),
    batch,
    pointCount,
    keyCount: latest.length,
    minStep,
    maxStep,
    latest: latest.slice(0, toldItems).map(toMetric),
  });
}

export function inputLogged(input: DatasetInput, timeMs: number): EventDraft {
  const { name: dataset, digest, sourceType, source, tags } = input;
  return ofRun(trackingEvents.datasetInputLogged, { project: input.project, id: input.run }, timeMs, {
    run: runName(input.project, input.run),
    dataset,
    digest,
    sourceType,
    source: cut(source, toldSourceChars),
    tags: told(tags),
  });
}

export function artifactLogged(artifact: Artifact, timeMs: number): EventDraft {
  const { project, run, path, digest, sizeBytes, mediaType } = artifact;
  const data = { run: runName(project, run), path, digest, sizeBytes: BigInt(sizeBytes), mediaType };
  return ofRun(trackingEvents.artifactLogged, { project, id: run }, timeMs, data);
}

export function artifactDeleted(
  { project, run, path, digest }: Artifact,
  eventId: string,
  timeMs: number,
): EventDraft {
  const data = { run: runName(project, run), path, digest };
  return { ...ofRun(trackingEvents.artifactDeleted, { project, id: run }, timeMs, data), id: eventId };
}

function snapshot(run: Run): MessageInitShape<typeof RunSnapshotSchema> {
  return {
    run: runName(run.project, run.id),
    experiment: experimentName(run.project, run.experiment),
    displayName: run.displayName,
    status: statusOf(run.status),
    ...timeOf('startTime', run.startTimeMs),
    ...timeOf('endTime', run.endTimeMs),
    params: told(run.params),
    tags: told(run.tags),
    metrics: run.metrics.slice(0, toldItems).map(toMetric),
  };
}

function headOf(doc: Experiment) {
  return { experiment: experimentName(doc.project, doc.number), displayName: doc.displayName };
}

function told(pairs: readonly Pair[]): Pair[] {
  return pairs.slice(0, toldItems).map(({ key, value }) => ({ key, value: cut(value, toldChars) }));
}

/** Cuts a text without leaving half of a surrogate pair. */
function cut(text: string, chars: number): string {
  return text.length > chars ? text.slice(0, chars).toWellFormed() : text;
}

function ofRun<S extends DescMessage>(
  type: EventType<S>,
  { project, id }: Pick<Run, 'project' | 'id'>,
  timeMs: number,
  data: MessageInitShape<S>,
): EventDraft {
  return draft(type, { project, resource: names.run.format({ project, run: id }), timeMs, data });
}

function ofExperiment<S extends DescMessage>(
  type: EventType<S>,
  { project, number }: Experiment,
  timeMs: number,
  data: MessageInitShape<S>,
): EventDraft {
  return draft(type, { project, resource: experimentName(project, number), timeMs, data });
}
