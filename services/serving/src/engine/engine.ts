import { CodedError } from '@millrace/errors';
import type { BatchLimits } from '../domain/batch-queue.ts';
import type { Feeds, Signature } from '../domain/signature.ts';
import type { Tensor } from '../domain/tensor.ts';
import { createLane, type Lane, type LaneStats } from './lane.ts';
import { createPool, type Pool } from './pool.ts';
import { warmUp } from './warm-up.ts';
import { ModelRunError, RunTimeoutError, type Worker, WorkerLostError } from './worker.ts';

export interface EngineOptions {
  readonly workers: number;
  readonly arena: boolean;
  readonly heapMb: number;
  readonly runTimeoutMs: number;
  readonly loadTimeoutMs: number;
  /** The memory that all sessions together may take, as measured at loading. */
  readonly memoryBudgetBytes: number;
  now(): number;
  readonly log: { warn(fields: object, message: string): void };
}

interface OpenModel {
  /** What the model is called inside the engine; one model each. */
  readonly key: string;
  /** The model's bytes, verified. Called at every load, also after a worker was replaced or the model was put to rest. */
  bytes(): Promise<Uint8Array>;
  /** In how many workers it is loaded. */
  readonly instances: number;
  readonly limits: BatchLimits;
}

/** A model that is loaded and warmed up. */
export interface EngineModel {
  readonly key: string;
  readonly signature: Signature;
  /** Whether requests are put together; see `warm-up.ts`. */
  readonly batchable: boolean;
  readonly memoryBytes: number;
  readonly loadMs: number;
  readonly stats: LaneStats;
  run(
    feeds: Feeds,
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal },
  ): Promise<Tensor[]>;
  /** Waits until nothing runs or waits, then gives the memory back. */
  close(): Promise<void>;
}

/** Models in worker threads. */
export interface Engine {
  /** Loads and warms up; throws MODEL_LOAD_FAILED with the reason, or MEMORY_BUDGET. */
  open(model: OpenModel): Promise<EngineModel>;
  /** The measured memory of the sessions that are resident. */
  readonly memoryBytes: number;
  /** Threads that were given up and still compute. */
  readonly stuck: number;
  close(): Promise<void>;
}

interface Resident {
  readonly source: OpenModel;
  readonly lane: Lane;
  memoryBytes: number;
  lastUsedMs: number;
  /** False while it is put to rest to make room. */
  resident: boolean;
  loading: Promise<void> | undefined;
}

export function createEngine(options: EngineOptions): Engine {
  const models = new Map<string, Resident>();
  const pool: Pool = createPool({
    size: options.workers,
    arena: options.arena,
    heapMb: options.heapMb,
    now: options.now,
    onReplaced: (lost, _fresh, why) => {
      options.log.warn({ err: why }, 'a worker was replaced');
      for (const key of lost.sessions) {
        const model = models.get(key);
        if (model?.resident) void reload(model);
      }
    },
  });
  // Loads run one after the other, so that the growth of the process is the model's own.
  let queue: Promise<unknown> = Promise.resolve();
  const oneByOne = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work);
    queue = result.catch(() => undefined);
    return result;
  };
  const used = () => [...models.values()].reduce((sum, m) => sum + (m.resident ? m.memoryBytes : 0), 0);
  const holders = (key: string) => pool.workers.filter((worker) => worker.sessions.has(key));

  const unload = async (key: string) => {
    for (const worker of holders(key)) await worker.unload(key, options.loadTimeoutMs).catch(() => undefined);
  };

  /** Puts the least recently used models to rest until there is room. */
  const makeRoom = async (neededBytes: number, key: string) => {
    while (used() + neededBytes > options.memoryBudgetBytes) {
      const idle = [...models.values()].filter(
        (m) =>
          m.resident &&
          m.source.key !== key &&
          !m.loading &&
          m.lane.running === 0 &&
          m.lane.queue.length === 0,
      );
      const oldest = idle.sort((a, b) => a.lastUsedMs - b.lastUsedMs)[0];
      if (!oldest) throw budgetError(neededBytes, options.memoryBudgetBytes);
      oldest.resident = false;
      await unload(oldest.source.key);
    }
  };

  const loadInto = async (worker: Worker, source: OpenModel, bytes: Uint8Array) => {
    try {
      const signature = await worker.load(source.key, new Uint8Array(bytes), options.loadTimeoutMs);
      const run = (inputs: Tensor[]) => worker.run(source.key, inputs, options.runTimeoutMs);
      return { signature, warm: await warmUp(signature, run) };
    } catch (error) {
      if (worker.alive) await worker.unload(source.key, options.loadTimeoutMs).catch(() => undefined);
      throw loadError(error);
    }
  };

  /** Loads into as many workers as wanted, and measures. */
  const load = async (source: OpenModel) => {
    const startMs = performance.now();
    const bytes = await source.bytes();
    await makeRoom(2 * bytes.byteLength, source.key);
    const before = process.memoryUsage.rss();
    const missing = source.instances - holders(source.key).length;
    const without = pool.leastLoaded(pool.workers.length).filter((w) => !w.sessions.has(source.key));
    let first: Awaited<ReturnType<typeof loadInto>> | undefined;
    try {
      for (const worker of without.slice(0, Math.max(0, missing))) {
        const loaded = await loadInto(worker, source, bytes);
        first ??= loaded;
        pool.pump();
      }
    } catch (error) {
      // Loaded in one worker and not in the next: nobody will ask for it, so the first lets it go too.
      if (!models.has(source.key)) await unload(source.key);
      throw error;
    }
    const grown = process.memoryUsage.rss() - before;
    const memoryBytes = Math.max(grown, bytes.byteLength * Math.max(1, missing));
    return { first, memoryBytes, loadMs: performance.now() - startMs };
  };

  const reload = (model: Resident): Promise<void> => {
    model.loading ??= oneByOne(async () => {
      if (models.get(model.source.key) !== model) return;
      const { memoryBytes } = await load(model.source);
      model.memoryBytes = Math.max(model.memoryBytes, memoryBytes);
      model.resident = true;
    })
      .catch((error: unknown) => {
        options.log.warn({ err: error, key: model.source.key }, 'a model could not be loaded again');
        model.resident = holders(model.source.key).length > 0;
        if (!model.resident) model.lane.fail(notLoadedError(error));
      })
      .finally(() => {
        model.loading = undefined;
        pool.pump();
      });
    return model.loading;
  };

  return {
    get memoryBytes() {
      return used();
    },
    get stuck() {
      return pool.stuck;
    },
    open: (source) =>
      oneByOne(async () => {
        const { first, memoryBytes, loadMs } = await load(source);
        if (!first) throw new TypeError(`the model ${source.key} is open already`);
        const { signature, warm } = first;
        const lane = createLane({
          key: source.key,
          signature,
          limits: warm.batchable ? source.limits : { ...source.limits, maxRows: 1 },
          runTimeoutMs: options.runTimeoutMs,
          now: options.now,
          onFailure: (reason) => options.log.warn({ key: source.key, reason }, 'a run failed'),
        });
        const model: Resident = {
          source,
          lane,
          memoryBytes,
          lastUsedMs: options.now(),
          resident: true,
          loading: undefined,
        };
        models.set(source.key, model);
        pool.lanes.set(source.key, lane);
        return {
          key: source.key,
          signature,
          batchable: warm.batchable,
          memoryBytes,
          loadMs,
          stats: lane.stats,
          run(feeds, call) {
            model.lastUsedMs = options.now();
            const outputs = lane.submit(feeds, call);
            if (model.resident) pool.pump();
            else void reload(model);
            return outputs;
          },
          async close() {
            while (lane.running > 0 || lane.queue.length > 0)
              await new Promise((resolve) => setTimeout(resolve, 5));
            models.delete(source.key);
            pool.lanes.delete(source.key);
            await unload(source.key);
          },
        };
      }),
    close: () => pool.stop(),
  };
}

function loadError(cause: unknown): CodedError {
  if (cause instanceof CodedError) return cause;
  const reason =
    cause instanceof RunTimeoutError
      ? 'its warm-up did not end in time'
      : cause instanceof WorkerLostError
        ? 'its worker went away'
        : cause instanceof ModelRunError
          ? 'the runtime refused it'
          : 'it could not be read';
  return new CodedError('failed_precondition', 'MODEL_LOAD_FAILED', `the model cannot be loaded: ${reason}`, {
    cause,
  });
}

function budgetError(neededBytes: number, budgetBytes: number): CodedError {
  return new CodedError(
    'resource_exhausted',
    'MEMORY_BUDGET',
    `about ${neededBytes} bytes are needed and the budget of ${budgetBytes} bytes is in use`,
    { retryAfterMs: 1000 },
  );
}

function notLoadedError(cause: unknown): CodedError {
  return new CodedError(
    'unavailable',
    'MODEL_NOT_LOADED',
    'the model could not be loaded again; retry later',
    {
      cause,
      retryAfterMs: 1000,
    },
  );
}
