import type { Job } from '@millrace/service';
import type { Engine } from './engine/engine.ts';
import { type SchedulesDeps, tickSchedules } from './schedules.ts';
import type { TriggerSubscriptions } from './subscriptions.ts';

/** What the orchestrator does by itself. Runs in hand are driven by events; none of these is in their way. */
export function createJobs(
  engine: Engine,
  schedules: SchedulesDeps,
  triggers: TriggerSubscriptions,
  every: { readonly leaseMs: number; readonly scanMs: number },
): readonly Job[] {
  return [
    { name: 'leases', everyMs: every.leaseMs / 4, run: () => engine.renew() },
    { name: 'scan', everyMs: every.scanMs, run: () => engine.scan() },
    { name: 'schedules', everyMs: 250, run: () => tickSchedules(schedules) },
    // Triggers that were applied through another replica.
    { name: 'triggers', everyMs: 2000, run: () => triggers.refresh() },
  ];
}
