import type { DocumentStore } from '@millrace/documents';
import { from } from '@millrace/errors';
import type { RpcServer } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';
import type { Job } from './jobs.ts';

const everyMs = 10_000;

/** Tells the health service the truth: a service whose documents cannot be read or written does not serve. */
export function healthJob(
  store: Pick<DocumentStore, 'check'>,
  server: Pick<RpcServer, 'setServing'>,
  log: Logger,
): Job {
  let sound = true;
  const tell = (now: boolean, signal: AbortSignal) => {
    if (now !== sound && !signal.aborted) server.setServing(now);
    sound = now;
  };
  return {
    name: 'check storage',
    everyMs,
    run: async (signal) => {
      try {
        await store.check();
        if (!sound) log.info({}, 'the storage answers again');
        tell(true, signal);
      } catch (err) {
        if (sound)
          log.error(
            { err },
            `the storage does not answer, so neither does the service: ${from(err).message}`,
          );
        tell(false, signal);
      }
    },
  };
}
