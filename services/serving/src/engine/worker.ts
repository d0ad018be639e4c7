import { once } from 'node:events';
import { Worker as Thread } from 'node:worker_threads';
import type { Signature } from '../domain/signature.ts';
import type { Tensor } from '../domain/tensor.ts';
import type { ThreadAnswer, ThreadRequest, ThreadSettings } from './messages.ts';

/** The model refused: a load or a run ended with the runtime's error. */
export class ModelRunError extends Error {
  override readonly name = 'ModelRunError';
}
/** The worker went away before it answered. */
export class WorkerLostError extends Error {
  override readonly name = 'WorkerLostError';
}
/** The worker did not answer in time; it is given up. */
export class RunTimeoutError extends Error {
  override readonly name = 'RunTimeoutError';
}

/** One worker thread, seen from the thread that does I/O. */
export interface Worker {
  /** Sessions it holds. */
  readonly sessions: ReadonlySet<string>;
  /** Whether it runs a model. What is sent while it loads or unloads one waits its turn in the thread. */
  readonly busy: boolean;
  /** Whether its thread has anything to do, loads with it. */
  readonly working: boolean;
  /** Whether it can still be used. */
  readonly alive: boolean;
  load(session: string, model: Uint8Array<ArrayBuffer>, timeoutMs: number): Promise<Signature>;
  run(session: string, inputs: readonly Tensor[], timeoutMs: number): Promise<Tensor[]>;
  unload(session: string, timeoutMs: number): Promise<void>;
  /** Takes no more work, and ends the thread when it has finished what it has; settles then. */
  stop(): Promise<void>;
}

type Done = Extract<ThreadAnswer, { ok: true }>;

interface Call {
  resolve(answer: Done): void;
  reject(error: Error): void;
  readonly timeoutMs: number;
}

interface Events {
  /** It can be used no more: it ended, failed or was given up as stuck. */
  onLost(worker: Worker, why: Error): void;
  /** A thread that was given up is still computing: native code cannot be interrupted, only the process can end. */
  onStuck(ended: Promise<unknown>): void;
}

/** Starts a worker thread. */
export function startWorker(settings: ThreadSettings & { readonly heapMb: number }, events: Events): Worker {
  const thread = new Thread(new URL('./thread.ts', import.meta.url), {
    workerData: { arena: settings.arena } satisfies ThreadSettings,
    resourceLimits: { maxOldGenerationSizeMb: settings.heapMb },
    env: {},
  });
  thread.unref();
  // In the order in which the thread takes them.
  const waiting = new Map<number, Call>();
  let watch: NodeJS.Timeout | undefined;
  const sessions = new Set<string>();
  let nextId = 1;
  let alive = true;
  let stopping = false;
  // What the thread still works on, also when nobody waits for it any more.
  let pending = 0;
  let runs = 0;
  let idle = Promise.withResolvers<void>();

  const lose = (why: Error, whyOthers = why) => {
    if (!alive) return;
    alive = false;
    clearTimeout(watch);
    for (const call of waiting.values()) call.reject(whyOthers);
    waiting.clear();
    if (!stopping) events.onLost(worker, why);
  };
  /** Gives what the thread works on its time; what is behind it gets its own later. */
  const watchFirst = () => {
    clearTimeout(watch);
    const [first] = waiting.values();
    if (!first) return;
    watch = setTimeout(() => {
      const stuck = new RunTimeoutError(`no answer within ${first.timeoutMs} ms`);
      first.reject(stuck);
      lose(stuck, new WorkerLostError('the worker was given up', { cause: stuck }));
      events.onStuck(end());
    }, first.timeoutMs);
  };
  thread.on('error', (error) => lose(new WorkerLostError('the worker failed', { cause: error })));
  thread.on('messageerror', (error) => lose(new WorkerLostError('the worker failed', { cause: error })));
  thread.on('exit', (code) => lose(new WorkerLostError(`the worker ended with ${code}`)));
  thread.on('message', (answer: ThreadAnswer) => {
    pending -= 1;
    if (pending === 0) idle.resolve();
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (alive) watchFirst();
    if (answer.ok) call?.resolve(answer);
    else call?.reject(new ModelRunError(answer.message));
  });

  // Terminating a thread within a run of the runtime aborts the whole process, so it ends when the run has ended.
  const end = async () => {
    if (pending > 0) await Promise.race([idle.promise, once(thread, 'exit')]);
    await thread.terminate();
  };

  type Body<T = ThreadRequest> = T extends ThreadRequest ? Omit<T, 'id'> : never;
  const ask = (body: Body, transfer: ArrayBuffer[], timeoutMs: number) => {
    if (!alive) return Promise.reject(new WorkerLostError('the worker is gone'));
    const id = nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Done>();
    waiting.set(id, { resolve, reject, timeoutMs });
    if (waiting.size === 1) watchFirst();
    if (pending++ === 0) idle = Promise.withResolvers();
    thread.postMessage({ id, ...body } satisfies ThreadRequest, transfer);
    return promise;
  };

  const worker: Worker = {
    sessions,
    get busy() {
      return runs > 0;
    },
    get working() {
      return pending > 0;
    },
    get alive() {
      return alive;
    },
    async load(session, model, timeoutMs) {
      const { signature } = await ask({ kind: 'load', session, model }, [model.buffer], timeoutMs);
      sessions.add(session);
      return signature as Signature;
    },
    async run(session, inputs, timeoutMs) {
      const buffers = inputs.flatMap(({ data }) =>
        data instanceof Uint8Array ? [data.buffer as ArrayBuffer] : [],
      );
      runs += 1;
      try {
        const { outputs } = await ask({ kind: 'run', session, inputs }, buffers, timeoutMs);
        return outputs ?? [];
      } finally {
        runs -= 1;
      }
    },
    async unload(session, timeoutMs) {
      sessions.delete(session);
      if (alive) await ask({ kind: 'unload', session }, [], timeoutMs);
    },
    async stop() {
      stopping = true;
      lose(new WorkerLostError('the worker was stopped'));
      await end();
    },
  };
  return worker;
}
