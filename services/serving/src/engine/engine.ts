import { CodedError } from '@millrace/errors';
import type { BatchLimits } from '../domain/batch-queue.ts';
import type { Feeds, Signature } from '../domain/signature.ts';
import type { Tensor } from '../domain/tensor.ts';
import { createLane, type Lane, type LaneStats } from './lane.ts';
import { createPool, type Pool } from './pool.ts';
import { createResidency, type Tenant } from './residency.ts';
import { createSlots } from './slots.ts';
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
  /** The most bytes that a request or an answer can have. */
  readonly maxMessageBytes: number;
  /** Most models in memory at the same time. */
  readonly maxModels: number;
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
  /** Numbers of all models, for people and metrics. */
  readonly stats: EngineStats;
  /** Threads that were given up and still compute. */
  readonly stuck: number;
  close(): Promise<void>;
}

/** Numbers of an engine. */
export interface EngineStats {
  /** Models in memory, those that are just being loaded with them. */
  readonly models: number;
  /** The memory of their sessions, as measured at loading. */
  readonly memoryBytes: number;
  /** Loads so far that ended well, those of models that had made room with them. */
  readonly loads: number;
  readonly failedLoads: number;
  /** How often a model made room for another. */
  readonly evictions: number;
}

interface Held extends Tenant {
  readonly source: OpenModel;
  readonly lane: Lane;
  memoryBytes: number;
  /** False while it has made room. */
  resident: boolean;
  loading: Promise<void> | undefined;
  leaving: PromiseWithResolvers<void> | undefined;
}

/** What loading a model can add beside its own size: the graph, prepacked weights, what ONNX Runtime keeps. */
const mostGrowth = (modelBytes: number) => 4 * modelBytes + 1024 ** 2;

const loadsPerWorker = 4;

export function createEngine(options: EngineOptions): Engine {
  const models = new Map<string, Held>();
  let [loads, failedLoads] = [0, 0];
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
  const residency = createResidency({ maxModels: options.maxModels, maxBytes: options.memoryBudgetBytes });
  // While one load computes in a worker, others read their files and wait for room.
  const slots = createSlots(loadsPerWorker * options.workers);
  const holders = (key: string) => pool.workers.filter((worker) => worker.sessions.has(key));

  const unload = async (key: string) => {
    for (const worker of holders(key)) await worker.unload(key, options.loadTimeoutMs).catch(() => undefined);
  };

  const loadInto = async (worker: Worker, source: OpenModel, bytes: Uint8Array) => {
    try {
      return await worker.load(source.key, new Uint8Array(bytes), options.loadTimeoutMs);
    } catch (error) {
      if (worker.alive) await worker.unload(source.key, options.loadTimeoutMs).catch(() => undefined);
      throw loadError(error);
    }
  };

  /** Loads into as many workers as are missing. Those in which it was loaded keep it when the next one fails. */
  const load = async (source: OpenModel, bytes: Uint8Array) => {
    const without = pool.leastLoaded(pool.workers.length).filter((w) => !w.sessions.has(source.key));
    const missing = Math.max(0, source.instances - holders(source.key).length);
    let signature: Signature | undefined;
    try {
      for (const worker of without.slice(0, missing)) signature = await loadInto(worker, source, bytes);
      loads += 1;
      return signature;
    } catch (error) {
      failedLoads += 1;
      throw error;
    }
  };

  /** Runs a model in every worker that holds it, before anyone waits for it. */
  const warm = async (key: string, signature: Signature) => {
    let batchable = true;
    for (const worker of holders(key))
      try {
        // Others may have asked for this worker meanwhile.
        const run = (inputs: Tensor[]) => worker.run(key, inputs, options.runTimeoutMs).finally(pool.pump);
        batchable = (await warmUp(signature, options.maxMessageBytes, run)).batchable && batchable;
      } catch (error) {
        failedLoads += 1;
        throw loadError(error);
      }
    return batchable;
  };

  /** Loads a model that made room, or that a worker lost; all who wait for it share the load. */
  const reload = (model: Held): Promise<void> => {
    const { key } = model.source;
    model.loading ??= slots(async () => {
      await model.leaving?.promise;
      if (models.get(key) !== model) return;
      // Those who waited may have gone away.
      if (!model.resident && model.lane.queue.length === 0) return;
      const bytes = model.source.bytes();
      bytes.catch(() => undefined);
      if (model.resident) residency.hold(key);
      else await residency.enter(key, model.memoryBytes);
      model.resident = true;
      // It was warmed up when it was opened: the first request need not wait for that again.
      const file = await bytes;
      await load(model.source, file).catch((error: CodedError) => {
        // It waited behind a run that hung; there is a fresh worker now.
        if (error.cause instanceof WorkerLostError) return load(model.source, file);
        throw error;
      });
    })
      .catch((error: unknown) => {
        options.log.warn({ err: error, key }, 'a model could not be loaded again');
        if (holders(key).length > 0) return;
        model.resident = false;
        residency.leave(key);
        model.lane.fail(notLoadedError(error));
      })
      .finally(() => {
        model.loading = undefined;
        model.lane.paused = !model.resident;
        if (model.resident) void residency.settle(key, model.memoryBytes, model);
        pool.pump();
      });
    return model.loading;
  };

  const hold = (source: OpenModel, lane: Lane, memoryBytes: number): Held => ({
    source,
    lane,
    memoryBytes,
    resident: true,
    loading: undefined,
    leaving: undefined,
    get busy() {
      return lane.running > 0 || lane.queue.length > 0;
    },
    async leave() {
      this.resident = false;
      this.leaving = Promise.withResolvers();
      lane.paused = true;
      await lane.settled();
      await unload(source.key);
    },
    left() {
      this.leaving?.resolve();
      this.leaving = undefined;
      // Requests that came while it left wait until it is back.
      if (lane.queue.length > 0) void reload(this);
    },
  });

  const open = async (source: OpenModel): Promise<EngineModel> => {
    const { key } = source;
    if (models.has(key)) throw new TypeError(`the model ${key} is open already`);
    const startMs = performance.now();
    const bytes = await source.bytes();
    const least = bytes.byteLength * source.instances;
    await residency.enter(key, 2 * bytes.byteLength);
    try {
      const before = process.memoryUsage.rss();
      const signature = await load(source, bytes);
      if (!signature) throw new TypeError('a model is loaded in at least one worker');
      const batchable = await warm(key, signature);
      // What else goes on at the same time makes the process grow too.
      const grown = Math.min(
        process.memoryUsage.rss() - before,
        source.instances * mostGrowth(bytes.byteLength),
      );
      // Who came in once can come in again.
      const memoryBytes = Math.min(Math.max(grown, least), options.memoryBudgetBytes);
      const lane = createLane({
        key,
        signature,
        limits: batchable ? source.limits : { ...source.limits, maxRows: 1 },
        runTimeoutMs: options.runTimeoutMs,
        now: options.now,
        onFailure: (reason) => options.log.warn({ key, reason }, 'a run failed'),
      });
      const model = hold(source, lane, memoryBytes);
      models.set(key, model);
      await residency.settle(key, memoryBytes, model);
      return {
        key,
        signature,
        batchable,
        memoryBytes,
        loadMs: performance.now() - startMs,
        stats: lane.stats,
        run(feeds, call) {
          residency.touch(key);
          const outputs = lane.submit(feeds, call);
          pool.add(lane);
          if (!model.resident) void reload(model);
          return outputs;
        },
        async close() {
          while (model.busy || model.loading || model.leaving)
            await new Promise((resolve) => setTimeout(resolve, 5));
          models.delete(key);
          await unload(key);
          residency.leave(key);
        },
      };
    } catch (error) {
      await unload(key);
      residency.leave(key);
      throw error;
    }
  };

  return {
    stats: {
      get models() {
        return residency.models;
      },
      get memoryBytes() {
        return residency.bytes;
      },
      get loads() {
        return loads;
      },
      get failedLoads() {
        return failedLoads;
      },
      get evictions() {
        return residency.evictions;
      },
    },
    get stuck() {
      return pool.stuck;
    },
    open: (source) => slots(() => open(source)),
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
