import type { Job } from '@millrace/service';
import type { Logger } from '@millrace/telemetry';
import { type MaterializeParts, materializeJob } from './materialize.ts';
import { createRunner } from './runner.ts';
import { sweep } from './sweep.ts';
import { type TrainingSetParts, trainingSetJob } from './training-set.ts';

export interface JobSettings {
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly maxCrashes: number;
  readonly concurrency: number;
}

/** How often waiting jobs are looked for. */
const lookMs = 250;

/** What the service does by itself: materializations, training sets, and clearing up. */
export function createJobs(
  parts: MaterializeParts & TrainingSetParts,
  settings: JobSettings,
  log: Logger,
): readonly Job[] {
  const { store, pushes, now } = parts;
  const { leaseMs, timeoutMs, maxCrashes } = settings;
  const options = { store, log, now, leaseMs, timeoutMs, maxCrashes };
  const materialize = createRunner(materializeJob(parts), options);
  const join = createRunner(trainingSetJob(parts), options);
  const workers = Array.from({ length: settings.concurrency }, (_, i) => ({
    name: `jobs-${i + 1}`,
    everyMs: lookMs,
    run: async (signal: AbortSignal) => {
      await materialize.runWaiting(signal);
      await join.runWaiting(signal);
    },
  }));
  return [
    ...workers,
    {
      name: 'finish pushes',
      everyMs: 2000,
      run: async () => {
        const { failures } = await pushes.recover({ atStart: false });
        if (failures.length > 0) throw failures[0];
      },
    },
    { name: 'sweep', everyMs: 2000, run: (signal: AbortSignal) => sweep(store, pushes, now(), signal) },
  ];
}
