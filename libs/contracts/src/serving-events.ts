import { defineEvent } from './event-type.ts';
import {
  DeploymentChangedSchema,
  DeploymentCreatedSchema,
  DeploymentDeletedSchema,
  InferenceLoggedSchema,
  ModelFailedSchema,
  ModelLoadedSchema,
  ModelUnloadedSchema,
} from './serving.ts';

/** The events of serving. */
export const servingEvents = {
  deploymentCreated: defineEvent('serving', 'deployment.created', DeploymentCreatedSchema),
  deploymentChanged: defineEvent('serving', 'deployment.changed', DeploymentChangedSchema),
  deploymentDeleted: defineEvent('serving', 'deployment.deleted', DeploymentDeletedSchema),
  modelLoaded: defineEvent('serving', 'model.loaded', ModelLoadedSchema),
  modelFailed: defineEvent('serving', 'model.failed', ModelFailedSchema),
  modelUnloaded: defineEvent('serving', 'model.unloaded', ModelUnloadedSchema),
  inferenceLogged: defineEvent('serving', 'inference.logged', InferenceLoggedSchema),
} as const;
