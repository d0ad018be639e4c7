import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CodedError } from '@millrace/errors';
import type { Answer, Ask, Columns } from './protocol.ts';

/** The code of a query that ended the process it ran in. */
export const engineLost = 'ENGINE_LOST';

/** A process in which a DuckDB can be opened. */
interface EngineProcess {
  /** Asks, one question after the other. Its end answers all that are open with ENGINE_LOST. */
  ask(question: Ask): Promise<Columns>;
  /** Ends it, whatever it does. */
  kill(): Promise<void>;
}

/** Processes for engines: one for each engine that is open, and some that wait to be used again. */
export interface Processes {
  take(): EngineProcess;
  /** Gives back one whose engine is closed. */
  giveBack(used: EngineProcess): void;
  close(): Promise<void>;
}

/** How many wait, and for how long: starting one takes longer than most of what they are asked. */
const mostIdle = 2;
const idleMs = 60_000;

export function createProcesses(): Processes {
  const all = new Set<EngineProcess>();
  const idle: { readonly process: EngineProcess; readonly end: NodeJS.Timeout }[] = [];
  let closed = false;

  function start(): EngineProcess {
    const made = startProcess(() => {
      all.delete(made);
      const index = idle.findIndex(({ process }) => process === made);
      if (index >= 0) clearTimeout(idle.splice(index, 1)[0]?.end);
    });
    all.add(made);
    return made;
  }

  return {
    take() {
      const found = idle.pop();
      clearTimeout(found?.end);
      return found?.process ?? start();
    },
    giveBack(used) {
      if (!all.has(used)) return;
      if (closed || idle.length >= mostIdle) return void used.kill();
      idle.push({ process: used, end: setTimeout(() => void used.kill(), idleMs).unref() });
    },
    async close() {
      closed = true;
      await Promise.all([...all].map((one) => one.kill()));
    },
  };
}

const program = fileURLToPath(new URL('./engine-process.ts', import.meta.url));

function startProcess(onEnd: () => void): EngineProcess {
  // Nothing of this process's environment is any business of a query.
  const child = fork(program, { serialization: 'advanced', env: {}, execArgv: [], stdio: 'ignore' });
  let waiting: PromiseWithResolvers<Columns> | undefined;
  let lost: Error | undefined;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const lose = (error: Error) => {
    lost ??= error;
    waiting?.reject(lost);
    setWaiting(undefined);
    onEnd();
    end();
  };
  // Only a process that is asked something keeps this one from ending.
  const setWaiting = (next: typeof waiting) => {
    waiting = next;
    if (next) child.ref();
    else child.unref();
    if (next) child.channel?.ref();
    else child.channel?.unref();
  };
  child.unref();
  child.on('message', (message: Answer) => {
    const asked = waiting;
    setWaiting(undefined);
    if ('error' in message) asked?.reject(new Error(message.error));
    else asked?.resolve(message.columns);
  });
  child.on('error', lose);
  child.on('exit', () =>
    lose(new CodedError('resource_exhausted', engineLost, 'the query ended its engine')),
  );
  return {
    ask: (question) => {
      if (lost) return Promise.reject(lost);
      const next = Promise.withResolvers<Columns>();
      setWaiting(next);
      child.send(question, (error) => error && lose(error));
      return next.promise;
    },
    kill: async () => {
      child.ref();
      child.kill('SIGKILL');
      await ended;
    },
  };
}
