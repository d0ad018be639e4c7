import { defineEvent } from './event-type.ts';
import {
  AliasMovedSchema,
  AliasRemovedSchema,
  EvaluationRecordedSchema,
  GateChangedSchema,
  GateDecidedSchema,
  LineageEdgeAddedSchema,
  ModelCreatedSchema,
  ModelDeletedSchema,
  ModelUpdatedSchema,
  ModelVersionDeletedSchema,
  ModelVersionReadySchema,
  ModelVersionRegisteredSchema,
  ModelVersionRejectedSchema,
  ModelVersionUpdatedSchema,
} from './registry.ts';

/** What the registry says. The resource of each is the model, version, alias, gate or decision it is about. */
export const registryEvents = {
  modelCreated: defineEvent('registry', 'model.created', ModelCreatedSchema),
  modelUpdated: defineEvent('registry', 'model.updated', ModelUpdatedSchema),
  modelDeleted: defineEvent('registry', 'model.deleted', ModelDeletedSchema),
  modelVersionRegistered: defineEvent('registry', 'model_version.registered', ModelVersionRegisteredSchema),
  modelVersionReady: defineEvent('registry', 'model_version.ready', ModelVersionReadySchema),
  modelVersionRejected: defineEvent('registry', 'model_version.rejected', ModelVersionRejectedSchema),
  modelVersionUpdated: defineEvent('registry', 'model_version.updated', ModelVersionUpdatedSchema),
  modelVersionDeleted: defineEvent('registry', 'model_version.deleted', ModelVersionDeletedSchema),
  aliasMoved: defineEvent('registry', 'alias.moved', AliasMovedSchema),
  aliasRemoved: defineEvent('registry', 'alias.removed', AliasRemovedSchema),
  evaluationRecorded: defineEvent('registry', 'evaluation.recorded', EvaluationRecordedSchema),
  gateDecided: defineEvent('registry', 'gate.decided', GateDecidedSchema),
  gateChanged: defineEvent('registry', 'gate.changed', GateChangedSchema),
  lineageEdgeAdded: defineEvent('registry', 'lineage_edge.added', LineageEdgeAddedSchema),
} as const;
