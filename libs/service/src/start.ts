import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '@millrace/blobs';
import type { Config, SettingRows } from '@millrace/config';
import type { CodedError } from '@millrace/errors';
import {
  connectBus,
  type Gap,
  type Relay,
  refillStream,
  type Subscription,
  startRelay,
} from '@millrace/events';
import { createServer, type RpcServer } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';
import { authenticateBy } from './authenticate.ts';
import { eventLog, type Range } from './event-log.ts';
import { healthJob } from './health.ts';
import { createDamages, type Damages, damagesSpec } from './integrity/damages.ts';
import { integrityHandlers } from './integrity/handlers.ts';
import { integrityJobs } from './integrity/jobs.ts';
import { watchBlobs } from './integrity/watched-blobs.ts';
import { startJobs } from './jobs.ts';
import { createPeers } from './peers.ts';
import { retentionJobs } from './retention.ts';
import type { CommonConfig, Deps, Parts, ServiceSpec } from './service.ts';
import { openOwnBlobs, openOwnDocuments } from './storage.ts';

/** A service that runs in this process. */
export interface RunningService {
  /** `host:port` */
  readonly address: string;
  /** Leaves, drains, stops handling, closes; in that order. Throws what failed first, after all of it was tried. */
  stop(): Promise<void>;
}

export interface StartOptions<R extends SettingRows> {
  readonly config: Config<R> & CommonConfig;
  readonly log: Logger;
  /** Called when the service can no longer keep its promises and the process must end. */
  readonly onFatal?: (error: CodedError) => void;
  /** @default Date.now */
  readonly now?: () => number;
}

/** What runs so far; all of it once the service has started. */
interface Running {
  parts?: Parts;
  relay?: Relay;
  server?: RpcServer;
  subscribed?: Promise<readonly Subscription[]>;
  jobs?: { stop(): Promise<void> };
  /** What was opened, in that order. */
  readonly opened: { close(): Promise<void> }[];
}

/**
 * Starts a service in this process. NATS and the other services need not be there: the relay and the subscriptions
 * begin when NATS can be reached. When a step fails, what was started before is stopped.
 */
export async function startService<R extends SettingRows>(
  spec: ServiceSpec<R>,
  options: StartOptions<R>,
): Promise<RunningService> {
  const { config, log } = options;
  const running: Running = { opened: [] };
  try {
    const address = await start(spec, options, running);
    let stopping: Promise<void> | undefined;
    return {
      address,
      stop: () => {
        stopping ??= shutDown(running, config, log).then(() => log.info({}, `${spec.name} has stopped`));
        return stopping;
      },
    };
  } catch (error) {
    await shutDown(running, { DRAIN_MS: 0 }, log).catch((err: unknown) =>
      log.warn({ err }, 'what had started could not be stopped'),
    );
    throw error;
  }
}

async function start<R extends SettingRows>(
  spec: ServiceSpec<R>,
  options: StartOptions<R>,
  running: Running,
): Promise<string> {
  const { config, log } = options;
  const { context } = spec;
  const now = options.now ?? Date.now;
  const folder = join(config.DATA_DIR, spec.name);
  await mkdir(folder, { recursive: true });
  const keep = <T extends { close(): Promise<void> }>(thing: T): T => {
    running.opened.push(thing);
    return thing;
  };
  const peers = keep(createPeers(config, spec.maxMessageBytes));
  const bus = keep(await connectBus({ url: config.NATS_URL, name: spec.name, log }));
  const place = { folder, context, config };
  let blobs: BlobStore | undefined;
  let damages: Damages | undefined;
  const deps: Deps = {
    documents: async (collections) =>
      keep(await openOwnDocuments(place, [...collections, damagesSpec], options)),
    blobs: async () => {
      blobs = keep(await openOwnBlobs(place, options));
      return watchBlobs(
        blobs,
        () => damages,
        (err) => log.error({ err }, 'damage could not be noted down'),
      );
    },
    bus,
    log,
    folder,
    now,
    client: peers.client,
  };
  const parts = await spec.build(config, deps);
  running.parts = parts;
  const { store } = parts;
  damages = createDamages(store, context, now);
  const tellGap = (gap: Gap) =>
    damages?.refilled(gap).catch((err: unknown) => log.error({ err }, 'a gap could not be noted down'));
  const relay = startRelay({ store, bus, context, log, onGap: (gap) => void tellGap(gap) });
  running.relay = relay;
  const republish = (range: Range) => refillStream({ store, bus, context, ...range });
  const { blobReferences: references = [] } = parts;
  const storage = { documents: store, blobs, references, damages, republish };
  const server = await createServer({
    implementations: [...parts.implementations, eventLog(store, republish), integrityHandlers(storage)],
    host: config.HOST,
    port: config.PORT,
    log,
    maxConnections: config.MAX_CONNECTIONS,
    keepalive: { everyMs: config.KEEPALIVE_MS, timeoutMs: Math.ceil(config.KEEPALIVE_MS / 3) },
    ...(parts.permissions ? { permissions: parts.permissions } : {}),
    ...(spec.maxMessageBytes ? { maxMessageBytes: spec.maxMessageBytes } : {}),
    ...(config.AUTH_TOKEN ? { authenticate: authenticateBy(config.AUTH_TOKEN) } : {}),
  });
  running.server = server;
  running.subscribed = parts.subscriptions?.() ?? Promise.resolve([]);
  running.subscribed.catch((err: unknown) => log.error({ err }, 'the subscriptions could not be started'));
  await parts.started?.(server.address);
  server.setServing(true);
  const retention = retentionJobs({ store, relay, eventDays: config.EVENT_RETENTION_DAYS, now });
  const everyHours = config.VERIFY_STORAGE_HOURS;
  const integrity = integrityJobs({ storage, server, everyHours, log, now });
  const jobs = [...(parts.jobs ?? []), ...retention, ...integrity, healthJob(store, server, log)];
  running.jobs = startJobs(jobs, log);
  log.info({ address: server.address }, `${spec.name} is ready`);
  return server.address;
}

/**
 * Stops what runs: no new calls, then no new work, then nothing is open. A step that fails does not keep the following
 * ones from being done.
 */
async function shutDown(
  running: Running,
  { DRAIN_MS }: Pick<CommonConfig, 'DRAIN_MS'>,
  log: Logger,
): Promise<void> {
  const { parts, server, subscribed, jobs, relay, opened } = running;
  const steps: (() => Promise<unknown> | undefined)[] = [
    async () => server?.setServing(false),
    () => parts?.draining?.(),
    async () => {
      const drained = await server?.drain(DRAIN_MS);
      if (drained === false)
        log.warn({ drainMs: DRAIN_MS }, 'some calls did not finish in time and were ended');
    },
    async () => {
      for (const subscription of (await subscribed?.catch(() => [])) ?? []) await subscription.stop();
    },
    () => jobs?.stop(),
    () => relay?.stop(),
    () => parts?.close?.(),
    ...opened.toReversed().map((thing) => () => thing.close()),
  ];
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
