import type { BlobStore } from '@millrace/blobs';
import type { DocumentStore } from '@millrace/documents';
import { isCoded } from '@millrace/errors';
import { createResultCache } from '../../src/engine/cache.ts';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { createShards } from '../../src/engine/shards.ts';
import { createExpressions } from '../../src/expressions.ts';
import { createJobs } from '../../src/jobs.ts';
import { createStartRun, type StartRun } from '../../src/start-run.ts';
import { createStore, type Store } from '../../src/store/store.ts';
import type { TriggersDeps } from '../../src/triggers.ts';
import type { Breakage } from './controls.ts';
import type { Host } from './host.ts';
import type { Life } from './life.ts';
import type { World } from './world.ts';

/** How long a lease lasts, and how often runs are looked for: the product's defaults. */
export const leaseMs = 10_000;
const scanMs = 2000;

/** An orchestrator that runs, put together as `wiring.ts` does it, but for its surroundings. */
export interface Replica {
  readonly life: Life;
  readonly host: Host;
  readonly store: Store;
  readonly engine: Engine;
  readonly startRun: StartRun;
  readonly triggers: TriggersDeps;
}

export interface ReplicaOptions {
  readonly world: World;
  readonly life: Life;
  readonly host: Host;
  readonly documents: DocumentStore;
  /** Its own clock, which may jump. */
  readonly now: () => number;
  readonly predecessor: string | undefined;
  readonly breakage: Breakage;
  onBreach(breach: string): void;
}

const expressions = createExpressions();
const noTriggers = { refresh: async () => {}, stop: async () => {} };
/** The jobs that decide; the others have nothing to do here. */
const deciding = ['leases', 'scan', 'schedules'];
const noBlobs = {} as BlobStore;

export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { world, life, host, now, predecessor, breakage } = options;
  const log = loggerOf(options);
  const store = breakage.store(createStore(options.documents, now), now);
  const executor = host.connect(life);
  const shards = await createShards({
    leases: options.documents.leases,
    owner: life.name,
    ...(predecessor === undefined ? {} : { predecessor }),
    count: 2,
    leaseMs,
    monotonicMs: world.now,
  });
  const engine = createEngine({
    store,
    executor,
    expressions,
    cache: createResultCache(store, now),
    shards,
    log,
    now,
    timers: { after: life.after, monotonicMs: world.now },
    random: world.chance.random,
    host: host.name,
    addresses: () => ({}),
  });
  const startRun = breakage.startRun(
    createStartRun(store, engine, now, (err) => log.error({ err }, 'a new run waits for the next scan')),
    now,
  );
  await engine.renew();
  void engine.scan().catch((err: unknown) => log.error({ err }, 'runs are taken up at the next scan'));
  const every = { leaseMs, scanMs, blobGraceMs: 86_400_000 };
  const schedules = { store, engine, shards, startRun, now, log };
  for (const job of createJobs(engine, schedules, noTriggers, noBlobs, every)) {
    if (!deciding.includes(job.name)) continue;
    // Looking at schedules four times a second would be most of what happens.
    const pauseMs = job.name === 'schedules' ? 1000 : job.everyMs;
    const again = () =>
      void job
        .run(new AbortController().signal)
        .catch((err: unknown) => log.error({ err }, `${job.name} failed`))
        .then(() => life.after(pauseMs, again));
    again();
  }
  return { life, host, store, engine, startRun, triggers: { store, expressions, startRun, now } };
}

/** Lines go to the trace; an error that no fault of the world explains is a breach. */
function loggerOf({ world, life, onBreach }: ReplicaOptions) {
  const line = (fields: object, message: string) => {
    const { err, ...rest } = fields as { err?: unknown };
    const why = err instanceof Error ? `: ${err.message}` : '';
    world.say(life.name, `${message} ${JSON.stringify(rest)}${why}`);
    const isExpected = err === undefined || isCoded(err, 'UNAVAILABLE') || isCoded(err, 'REFUSED');
    if (!isExpected && err instanceof TypeError) onBreach(`${message}: ${err.stack}`);
  };
  const log = { debug: () => {}, info: line, warn: line, error: line, child: () => log };
  return log;
}
