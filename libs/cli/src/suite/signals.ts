import type { Output } from '../show/output.ts';
import type { Suite } from './suite.ts';

export interface UntilStopped {
  readonly out: Output;
  /** Starts the suite. */
  start(): Promise<Suite>;
  /** Called when a stop is asked for while it starts. */
  giveUp(): void;
  /** What is done with the suite; its number is the exit code. It ends when the signal tells that a stop was asked for. */
  work(suite: Suite, stopping: AbortSignal): Promise<number>;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a suite until its work is done or a signal comes, and stops it then. The second signal ends everything at once,
 * with exit code 1.
 */
export async function untilStopped({ out, start, giveUp, work }: UntilStopped): Promise<number> {
  const stopping = new AbortController();
  let suite: Suite | undefined;
  const onSignal = () => {
    if (stopping.signal.aborted) {
      suite?.kill();
      process.exit(1);
    }
    stopping.abort();
    if (!suite) giveUp();
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    suite = await start();
    return stopping.signal.aborted ? 0 : await work(suite, stopping.signal);
  } catch (error) {
    if (stopping.signal.aborted && !suite) return 0;
    throw error;
  } finally {
    if (suite) {
      out.progress('stopping …');
      await suite.stop();
      out.progress();
      if (stopping.signal.aborted) out.line('Stopped. The data stays; millrace up goes on with it.');
    }
    for (const signal of signals) process.off(signal, onSignal);
  }
}
