import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type BlobStore, openBlobs } from '@millrace/blobs';
import type { Config, SettingRows } from '@millrace/config';
import { type DocumentStore, openDocuments } from '@millrace/documents';
import type { CodedError } from '@millrace/errors';
import { connectBus, refillStream, type Subscription, startRelay } from '@millrace/events';
import { createServer } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';
import { authenticateBy } from './authenticate.ts';
import { eventLog, type Range } from './event-log.ts';
import { startJobs } from './jobs.ts';
import { createPeers } from './peers.ts';
import type { CommonConfig, Deps, ServiceSpec } from './service.ts';

/** A service that runs in this process. */
export interface RunningService {
  /** `host:port` */
  readonly address: string;
  /** Leaves, drains, stops handling, closes; in that order. */
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

/**
 * Starts a service in this process. NATS and the other services need not be there: the relay and the subscriptions
 * begin when NATS can be reached.
 */
export async function startService<R extends SettingRows>(
  spec: ServiceSpec<R>,
  options: StartOptions<R>,
): Promise<RunningService> {
  const { config, log } = options;
  const folder = join(config.DATA_DIR, spec.name);
  await mkdir(folder, { recursive: true });
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(thing: T): T => {
    opened.push(thing);
    return thing;
  };
  const closeAll = async () => {
    for (const thing of opened.splice(0).reverse()) await thing.close();
  };

  try {
    const peers = keep(createPeers(config, spec.maxMessageBytes));
    const bus = keep(await connectBus({ url: config.NATS_URL, name: spec.name, log }));
    const now = options.now ?? Date.now;
    const deps: Deps = {
      documents: async (collections) => keep(await openStore(folder, collections, spec, options)),
      blobs: async () => keep(await openOwnBlobs(folder, spec.context, config)),
      bus,
      log,
      folder,
      now,
      client: peers.client,
    };
    const parts = await spec.build(config, deps);
    const relay = startRelay({ store: parts.store, bus, context: spec.context, log });
    const republish = (range: Range) =>
      refillStream({ store: parts.store, bus, context: spec.context, ...range });
    const server = await createServer({
      implementations: [...parts.implementations, eventLog(parts.store, republish)],
      host: config.HOST,
      port: config.PORT,
      log,
      ...(parts.permissions ? { permissions: parts.permissions } : {}),
      ...(spec.maxMessageBytes ? { maxMessageBytes: spec.maxMessageBytes } : {}),
      ...(config.AUTH_TOKEN ? { authenticate: authenticateBy(config.AUTH_TOKEN) } : {}),
    });
    const subscribed: Promise<readonly Subscription[]> = parts.subscriptions?.() ?? Promise.resolve([]);
    subscribed.catch((err: unknown) => log.error({ err }, 'the subscriptions could not be started'));
    const jobs = startJobs(parts.jobs ?? [], log);
    await parts.started?.(server.address);
    server.setServing(true);
    log.info({ address: server.address }, `${spec.name} is ready`);

    let stopping: Promise<void> | undefined;
    const stop = async () => {
      server.setServing(false);
      await parts.draining?.();
      const drained = await server.drain(config.DRAIN_MS);
      if (!drained)
        log.warn({ drainMs: config.DRAIN_MS }, 'some calls did not finish in time and were ended');
      for (const subscription of await subscribed.catch(() => [])) await subscription.stop();
      await jobs.stop();
      await relay.stop();
      await parts.close?.();
      await closeAll();
      log.info({}, `${spec.name} has stopped`);
    };
    return {
      address: server.address,
      stop: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function openStore<R extends SettingRows>(
  folder: string,
  collections: Parameters<Deps['documents']>[0],
  spec: ServiceSpec<R>,
  options: StartOptions<R>,
): Promise<DocumentStore> {
  const { MONGODB_URL } = options.config;
  const url = MONGODB_URL ? databaseOf(MONGODB_URL, spec.context) : `sqlite:${join(folder, 'documents.db')}`;
  return openDocuments({
    url,
    collections,
    ...(options.now ? { now: options.now } : {}),
    ...(options.onFatal ? { onFatal: options.onFatal } : {}),
  });
}

/** Each service has a database of its own: the URL's with the context behind it. */
function databaseOf(text: string, context: string): string {
  const url = new URL(text);
  const base = url.pathname.slice(1) || 'millrace';
  url.pathname = `/${base}_${context}`;
  return url.href;
}

/** Each service has blobs of its own: below the URL's, under the context. What one removes another keeps. */
function openOwnBlobs(folder: string, context: string, config: CommonConfig): Promise<BlobStore> {
  const url = config.BLOBS_URL
    ? `${config.BLOBS_URL.replace(/\/$/, '')}/${context}`
    : `file:${join(folder, 'blobs')}`;
  return openBlobs({ url, cacheDir: join(folder, 'blob-cache') });
}
