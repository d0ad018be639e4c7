import { defineEvent } from './event-type.ts';
import {
  ArtifactDeletedSchema,
  ArtifactLoggedSchema,
  DatasetInputLoggedSchema,
  ExperimentCreatedSchema,
  ExperimentDeletedSchema,
  ExperimentRestoredSchema,
  ExperimentUpdatedSchema,
  MetricsLoggedSchema,
  RunCreatedSchema,
  RunDeletedSchema,
  RunFinishedSchema,
  RunRestoredSchema,
  RunUpdatedSchema,
} from './tracking.ts';

/** What the tracking service tells of. */
export const trackingEvents = {
  experimentCreated: defineEvent('tracking', 'experiment.created', ExperimentCreatedSchema),
  experimentUpdated: defineEvent('tracking', 'experiment.updated', ExperimentUpdatedSchema),
  experimentDeleted: defineEvent('tracking', 'experiment.deleted', ExperimentDeletedSchema),
  experimentRestored: defineEvent('tracking', 'experiment.restored', ExperimentRestoredSchema),
  runCreated: defineEvent('tracking', 'run.created', RunCreatedSchema),
  runUpdated: defineEvent('tracking', 'run.updated', RunUpdatedSchema),
  runFinished: defineEvent('tracking', 'run.finished', RunFinishedSchema),
  runDeleted: defineEvent('tracking', 'run.deleted', RunDeletedSchema),
  runRestored: defineEvent('tracking', 'run.restored', RunRestoredSchema),
  metricsLogged: defineEvent('tracking', 'metrics.logged', MetricsLoggedSchema),
  artifactLogged: defineEvent('tracking', 'artifact.logged', ArtifactLoggedSchema),
  artifactDeleted: defineEvent('tracking', 'artifact.deleted', ArtifactDeletedSchema),
  datasetInputLogged: defineEvent('tracking', 'dataset_input.logged', DatasetInputLoggedSchema),
} as const;
