import { defineEvent } from './event-type.ts';
import {
  EntityAppliedSchema,
  EntityDeletedSchema,
  MaterializationFailedSchema,
  MaterializationFinishedSchema,
  MaterializationStartedSchema,
  RowsPushedSchema,
  SourceAppliedSchema,
  SourceDeletedSchema,
  TrainingSetCreatedSchema,
  TrainingSetFailedSchema,
  ViewAppliedSchema,
  ViewDeletedSchema,
} from './features.ts';

/** What the feature store says. */
export const featuresEvents = {
  entityApplied: defineEvent('features', 'entity.applied', EntityAppliedSchema),
  entityDeleted: defineEvent('features', 'entity.deleted', EntityDeletedSchema),
  sourceApplied: defineEvent('features', 'source.applied', SourceAppliedSchema),
  sourceDeleted: defineEvent('features', 'source.deleted', SourceDeletedSchema),
  viewApplied: defineEvent('features', 'view.applied', ViewAppliedSchema),
  viewDeleted: defineEvent('features', 'view.deleted', ViewDeletedSchema),
  rowsPushed: defineEvent('features', 'rows.pushed', RowsPushedSchema),
  materializationStarted: defineEvent('features', 'materialization.started', MaterializationStartedSchema),
  materializationFinished: defineEvent('features', 'materialization.finished', MaterializationFinishedSchema),
  materializationFailed: defineEvent('features', 'materialization.failed', MaterializationFailedSchema),
  trainingSetCreated: defineEvent('features', 'training_set.created', TrainingSetCreatedSchema),
  trainingSetFailed: defineEvent('features', 'training_set.failed', TrainingSetFailedSchema),
} as const;
