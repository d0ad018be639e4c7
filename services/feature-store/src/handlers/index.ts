import { FeatureStoreService } from '@millrace/contracts/features';
import { type Implementation, implement } from '@millrace/rpc';
import type { HandlerParts } from './context.ts';
import { definitionHandlers } from './definitions.ts';
import { materializationHandlers } from './materializations.ts';
import { onlineHandlers } from './online.ts';
import { trainingSetHandlers } from './training-sets.ts';
import { viewHandlers } from './views.ts';

/** The RPC edge. */
export function featureStore(parts: HandlerParts): Implementation {
  return implement(FeatureStoreService, {
    ...definitionHandlers(parts),
    ...viewHandlers(parts),
    ...onlineHandlers(parts),
    ...materializationHandlers(parts),
    ...trainingSetHandlers(parts),
  });
}
