import type { Lane } from './lane.ts';
import { startWorker, type Worker } from './worker.ts';

export interface PoolOptions {
  readonly size: number;
  readonly arena: boolean;
  /** The heap of each thread for JavaScript, in MiB; the runtime's own memory is outside of it. */
  readonly heapMb: number;
  now(): number;
  /** A worker was replaced; its sessions are gone with it. */
  onReplaced(lost: Worker, fresh: Worker, why: Error): void;
}

/** The workers, and who of them runs what next. */
export interface Pool {
  readonly workers: readonly Worker[];
  /** Threads that were given up and still compute. */
  readonly stuck: number;
  /** The workers with the fewest sessions. */
  leastLoaded(count: number): Worker[];
  /** Gives free workers what waits in these lanes; call it whenever a lane got a request or a worker a session. */
  pump(): void;
  /** Says that a request waits in this lane. Those that were read from a socket together become one batch. */
  add(lane: Lane): void;
  stop(): Promise<void>;
}

/** How long stopping waits for runs. */
const stopMs = 2000;

export function createPool(options: PoolOptions): Pool {
  // Those with requests that wait: among a thousand lanes few have any.
  const waiting = new Set<Lane>();
  const workers: Worker[] = [];
  let stuck = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let soon: NodeJS.Immediate | undefined;

  // A thread that computes would keep the process from ending, or abort it: exit waits for threads.
  const endForGood = () => process.kill(process.pid, 'SIGKILL');

  const onStuck = (ended: Promise<unknown>) => {
    if (stuck++ === 0) process.once('exit', endForGood);
    void ended.then(() => {
      if (--stuck === 0) process.removeListener('exit', endForGood);
    });
  };

  const start = (): Worker =>
    startWorker(options, {
      onLost(lost, why) {
        const at = workers.indexOf(lost);
        if (stopped || at < 0) return;
        const fresh = start();
        workers[at] = fresh;
        options.onReplaced(lost, fresh, why);
      },
      onStuck,
    });
  for (let i = 0; i < options.size; i++) workers.push(start());

  /** The lane that this worker should serve next: of those it holds, the one whose oldest request waits longest. */
  const nextFor = (worker: Worker): Lane | undefined => {
    const nowMs = options.now();
    let best: Lane | undefined;
    for (const lane of waiting) {
      if (lane.queue.length === 0) waiting.delete(lane);
      if (lane.paused || !worker.sessions.has(lane.key)) continue;
      if ((lane.queue.dueAtMs() ?? Number.POSITIVE_INFINITY) > nowMs) continue;
      if (!best || (lane.queue.oldestMs() ?? 0) < (best.queue.oldestMs() ?? 0)) best = lane;
    }
    return best;
  };

  const pump = () => {
    clearImmediate(soon);
    soon = undefined;
    if (stopped) return;
    // A worker that loads a model takes a run behind it, if no other one can.
    const free = workers.filter((worker) => worker.alive && !worker.busy);
    for (const worker of free.sort((a, b) => Number(a.working) - Number(b.working))) {
      const lane = nextFor(worker);
      const run = lane?.dispatch(worker);
      if (lane && run)
        void run.then(() => {
          // What failed together was put back, to run alone.
          waiting.add(lane);
          pump();
        });
    }
    plan();
  };

  /** Wakes for the next batch that waits for company. Those that wait for a worker are found when one gets free. */
  const plan = () => {
    clearTimeout(timer);
    const nowMs = options.now();
    let dueMs = Number.POSITIVE_INFINITY;
    for (const lane of waiting) {
      const due = lane.queue.dueAtMs();
      if (due !== undefined && due > nowMs) dueMs = Math.min(dueMs, due);
    }
    if (dueMs < Number.POSITIVE_INFINITY) timer = setTimeout(pump, Math.max(1, dueMs - nowMs));
  };

  return {
    workers,
    pump,
    add(lane) {
      waiting.add(lane);
      soon ??= setImmediate(pump);
    },
    get stuck() {
      return stuck;
    },
    leastLoaded: (count) => [...workers].sort((a, b) => a.sessions.size - b.sessions.size).slice(0, count),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      const busy = workers.some((worker) => worker.working);
      const ended = Promise.all(workers.map((worker) => worker.stop()));
      if (busy) onStuck(ended);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, stopMs).unref())]);
    },
  };
}
