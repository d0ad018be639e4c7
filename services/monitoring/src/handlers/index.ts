import { MonitoringService } from '@millrace/contracts/monitoring';
import { type Implementation, implement } from '@millrace/rpc';
import { baselineHandlers } from './baselines.ts';
import type { Context } from './context.ts';
import { labelHandlers } from './labels.ts';
import { monitorHandlers } from './monitors.ts';
import { reportHandlers } from './reports.ts';

/** The RPC edge. */
export function createHandlers(context: Context): Implementation {
  return implement(MonitoringService, {
    ...monitorHandlers(context),
    ...baselineHandlers(context),
    ...reportHandlers(context),
    ...labelHandlers(context),
  });
}
