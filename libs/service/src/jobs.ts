import type { Logger } from '@millrace/telemetry';
import { pause } from './pause.ts';

/** Something a service does by itself, again and again. */
export interface Job {
  readonly name: string;
  /** The pause after each run. */
  readonly everyMs: number;
  /** Does a bounded piece of work; throwing is logged and the next run comes as usual. */
  run(signal: AbortSignal): Promise<void>;
}

/** Runs each job in its own loop, never two runs of one at a time. `stop` waits for the runs under way. */
export function startJobs(jobs: readonly Job[], log: Logger): { stop(): Promise<void> } {
  const abort = new AbortController();
  const loops = jobs.map(async (job) => {
    while (!abort.signal.aborted) {
      try {
        await job.run(abort.signal);
      } catch (err) {
        if (!abort.signal.aborted)
          log.error({ err, job: job.name }, 'a job failed; it runs again after its pause');
      }
      await pause(job.everyMs, abort.signal);
    }
  });
  return {
    stop: async () => {
      abort.abort();
      await Promise.all(loops);
    },
  };
}
