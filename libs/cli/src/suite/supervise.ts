import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '@millrace/errors';
import { type Child, type ChildOptions, type Ended, startChild } from './child.ts';
import { lastLines } from './log-file.ts';

/** A service that is kept running. */
export interface Supervised {
  readonly name: string;
  readonly address: string;
  /** Of its present process; 0 between two. */
  readonly pid: number;
  /** How often it was started again after it had ended by itself. */
  readonly restarts: number;
  /** Ends its process in order and starts another with the same address and data. */
  restart(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
}

export interface SuperviseOptions extends ChildOptions {
  readonly name: string;
  /** Gets a line whenever it ended or is there again. */
  readonly onLine: (line: string) => void;
  /** How long the first start may take. */
  readonly readyMs: number;
  /** How long it may take to stop. */
  readonly graceMs: number;
  /** Gives the first start up. */
  readonly signal?: AbortSignal;
}

const firstWaitMs = 200;
const longestWaitMs = 10_000;
/** Who ran as long as this starts again at once. */
const settledMs = 30_000;

/**
 * Starts a service and waits until it is ready; from then on it is started again whenever it ends, after a wait that grows
 * while it keeps ending. SERVICE_NOT_STARTED with its last lines when the first start fails.
 */
export async function supervise(options: SuperviseOptions): Promise<Supervised> {
  const { name, logPath, onLine, graceMs } = options;
  const stopping = new AbortController();
  let child: Child | undefined = startChild(options);
  let restarts = 0;
  let wanted = false;

  const address = await firstReady(child, options);

  const follow = async (): Promise<void> => {
    for (let waitMs = firstWaitMs; ; ) {
      const startedMs = Date.now();
      const ended = await child!.exited;
      child = undefined;
      if (stopping.signal.aborted) return;
      if (!wanted) {
        if (Date.now() - startedMs > settledMs) waitMs = firstWaitMs;
        onLine(
          `${name} ended (${howOf(ended)}); starting it again in ${waitMs / 1000} s. Its log: ${logPath}`,
        );
        await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => {});
        if (stopping.signal.aborted) return;
        waitMs = Math.min(waitMs * 2, longestWaitMs);
      }
      wanted = false;
      restarts++;
      child = startChild(options);
      const { pid, ready } = child;
      void ready.then((at) => {
        if (at) onLine(`${name} is there again at ${at} (process ${pid})`);
      });
    }
  };
  const followed = follow();

  return {
    name,
    address,
    get pid() {
      return child?.pid ?? 0;
    },
    get restarts() {
      return restarts;
    },
    restart: async () => {
      const before = child;
      wanted = before !== undefined;
      await before?.stop(graceMs);
      while (!stopping.signal.aborted && (child === before || child === undefined)) await sleep(5);
      await child?.ready;
    },
    stop: async () => {
      stopping.abort();
      await child?.stop(graceMs);
      await followed;
    },
    kill: () => {
      stopping.abort();
      child?.kill();
    },
  };
}

async function firstReady(child: Child, options: SuperviseOptions): Promise<string> {
  const { name, logPath, readyMs, graceMs, signal } = options;
  let why: string | undefined;
  const giveUp = (reason: string) => {
    why ??= reason;
    void child.stop(graceMs);
  };
  const onAbort = () => giveUp('the start was given up');
  const timer = setTimeout(() => giveUp(`not ready after ${readyMs / 1000} s`), readyMs);
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted) onAbort();
  const address = await child.ready;
  clearTimeout(timer);
  signal?.removeEventListener('abort', onAbort);
  if (address && why === undefined) return address;
  const ended = await child.exited;
  const lines = lastLines(logPath, 12).map((line) => `  ${line}`);
  const head = `${name} could not start: ${why ?? `it ended ${howOf(ended)}`}. The end of ${logPath}:`;
  const text = [head, ...lines].join('\n');
  throw new CodedError('failed_precondition', 'SERVICE_NOT_STARTED', text, { details: { service: name } });
}

function howOf({ code, signal }: Ended): string {
  if (signal) return `by ${signal}`;
  return code === null ? 'because its program cannot be run' : `with exit code ${code}`;
}
