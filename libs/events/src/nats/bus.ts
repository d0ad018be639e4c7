import { setTimeout as sleep } from 'node:timers/promises';
import { type CodedError, from, unavailable } from '@millrace/errors';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { type Log, noLog } from '../log.ts';
import type { Streams } from '../port.ts';
import { checkVersion } from '../server/version.ts';
import { applyConsumer, consume } from './consumers.ts';
import { type Credentials, connectionOptions, shownUrl } from './credentials.ts';
import { read } from './read.ts';
import { applyStream, readMessage, readState, removeMessage, send } from './streams.ts';

export interface BusOptions {
  /** `nats://` or `tls://` addresses, separated by commas. */
  readonly url: string;
  /** Who connects, as operators see it: the service's name. */
  readonly name: string;
  readonly credentials?: Credentials;
  /** @default none */
  readonly log?: Log;
  /** How long calls wait for a connection before they answer `unavailable`. @default 5000 */
  readonly waitMs?: number;
}

/** A connection to NATS that comes back by itself. */
export interface Link extends Pick<Streams, 'name' | 'connected' | 'connections' | 'onConnect'> {
  /** Waits for a connection; `unavailable` when there is none in time, NATS_TOO_OLD when the server is refused. */
  connection(): Promise<NatsConnection>;
  jetstream(): Promise<JetStreamClient>;
  manager(): Promise<JetStreamManager>;
  /** Sends what is buffered and closes. */
  close(): Promise<void>;
}

/** Streams over a connection to NATS. */
export interface Bus extends Link, Streams {}

/**
 * Connects to NATS and keeps reconnecting for ever, with jitter. Returns when connected, or after a second without
 * a server: publishing then waits and answers `unavailable`. Throws NATS_TOO_OLD for servers before 2.10.
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const log = options.log ?? noLog;
  const url = shownUrl(options.url);
  const settings: NodeConnectionOptions = {
    ...connectionOptions(options.url, options.credentials),
    name: `millrace-${options.name}`,
    // Replies go to a place of their own, so that permissions can keep services from reading each other's.
    inboxPrefix: `_INBOX_${options.name.replace(/[^A-Za-z0-9_-]/g, '_')}`,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 500,
    pingInterval: 10_000,
    maxPingOut: 2,
    timeout: 5_000,
    // Two stack traces for each message that is published, which nobody reads unless it fails.
    noAsyncTraces: true,
    ignoreAuthErrorAbort: true,
  };
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  let current: NatsConnection | undefined;
  let client: { readonly of: NatsConnection; readonly jetstream: JetStreamClient } | undefined;
  let connected = false;
  let connections = 0;
  let refused: CodedError | undefined;

  /** Judges the server at every connection: a cluster may be of several versions. */
  const greet = (nc: NatsConnection) => {
    try {
      const version = nc.info?.version ?? '';
      const advice = checkVersion(version);
      if (advice) log.warn({ version }, advice);
      refused = undefined;
    } catch (error) {
      refused = from(error);
      log.error({ url }, refused.message);
    }
    connected = true;
    connections++;
    for (const listener of [...listeners]) listener();
  };

  const follow = async (nc: NatsConnection) => {
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') {
        connected = false;
        log.warn({ url }, 'the connection to NATS was lost; reconnecting');
      } else if (status.type === 'reconnect') {
        log.info({ url }, 'connected to NATS again');
        greet(nc);
      } else if (status.type === 'error') log.warn({ url, err: status.error }, 'NATS reports an error');
    }
  };

  const run = async () => {
    for (let waitMs = 100; !closing.signal.aborted; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        current = await connect(settings);
        if (closing.signal.aborted) return await current.close();
        waitMs = 100;
        greet(current);
        void follow(current);
        await current.closed();
        connected = false;
      } catch (error) {
        log.warn({ url, err: error }, 'NATS cannot be reached; trying again');
      }
      await sleep(waitMs * (0.5 + Math.random()), undefined, { signal: closing.signal }).catch(() => {});
    }
  };

  const waitConnected = (forMs: number) =>
    new Promise<boolean>((resolve) => {
      if (connected || closing.signal.aborted) return resolve(connected);
      const done = () => {
        clearTimeout(timer);
        listeners.delete(done);
        closing.signal.removeEventListener('abort', done);
        resolve(connected);
      };
      const timer = setTimeout(done, forMs);
      listeners.add(done);
      closing.signal.addEventListener('abort', done);
    });

  const running = run();
  await waitConnected(1_000);
  if (refused) {
    closing.abort();
    await current?.close();
    throw refused;
  }

  const link: Link = {
    name: options.name,
    get connected() {
      return connected;
    },
    get connections() {
      return connections;
    },
    connection: async () => {
      if (!connected) await waitConnected(options.waitMs ?? 5_000);
      if (refused) throw refused;
      if (!connected || !current) throw unavailable(`NATS at ${url}`);
      return current;
    },
    jetstream: async () => {
      const nc = await link.connection();
      if (client?.of !== nc) client = { of: nc, jetstream: jetstream(nc) };
      return client.jetstream;
    },
    manager: async () => jetstreamManager(await link.connection(), { checkAPI: false }),
    onConnect: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {
      closing.abort();
      // A drain without a connection would wait for one.
      if (connected)
        await Promise.race([current?.drain().catch(() => {}), sleep(2_000, undefined, { ref: false })]);
      await current?.close();
      await running;
    },
  };
  return Object.assign(link, streamsOver(link));
}

/** The port over a connection. */
function streamsOver(link: Link): Omit<Streams, keyof Link> {
  return {
    send: (message) => send(link, message),
    applyStream: async (settings) => applyStream(await link.manager(), settings),
    readState: async (stream) => readState(await link.manager(), stream),
    readMessage: async (stream, seq) => readMessage(await link.manager(), stream, seq),
    removeMessage: async (stream, seq) => removeMessage(await link.manager(), stream, seq),
    read: (stream, options) => read(link, stream, options),
    applyConsumer: async (stream, settings) => applyConsumer(await link.manager(), stream, settings),
    consume: (stream, durable, maxInFlight) => consume(link, stream, durable, maxInFlight),
  };
}
