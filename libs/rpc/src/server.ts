import { Server, ServerCredentials } from '@grpc/grpc-js';
import { CodedError } from '@millrace/errors';
import { registerRoute } from './grpc-routes.ts';
import type { Implementation } from './handlers.ts';
import { createHealth } from './health.ts';
import { limitHeldBytes } from './held-bytes.ts';
import { listen } from './listener.ts';
import { reflection } from './reflection.ts';
import { createRoutes, defaultMaxMessageBytes, type RouterOptions } from './router.ts';

export interface ServerOptions extends RouterOptions {
  readonly implementations: readonly Implementation[];
  /** Anything else than loopback needs `authenticate`. @default 127.0.0.1 */
  readonly host?: string;
  /** @default a free port */
  readonly port?: number;
  /** @default no encryption */
  readonly credentials?: ServerCredentials;
  /** Calls at once on one connection; more wait at the client. @default 1_024 */
  readonly maxConcurrentStreams?: number;
  /** Connections at once; more are closed as they come. @default 4_096 */
  readonly maxConnections?: number;
  /** Bytes of requests and unread answers that one connection may make the server hold. @default 8 of the largest messages */
  readonly maxHeldBytes?: number;
  /** A connection without a word for so long is closed, in milliseconds, and its client connects again when it calls. @default 900_000 */
  readonly idleMs?: number;
  /** How often a client is asked whether it is still there, and how long it may take to answer. @default 30_000 and 10_000 */
  readonly keepalive?: { readonly everyMs: number; readonly timeoutMs: number };
}

/** A server that takes calls. */
export interface RpcServer {
  /** `host:port` */
  readonly address: string;
  readonly port: number;
  /** Tells the health service whether one service, or everything, answers. */
  setServing(serving: boolean, service?: string): void;
  /**
   * Stops gently: tells that it no longer serves, takes no new calls, ends the watches, waits for the other calls in
   * flight, and after `ms` ends those too. False when some had to be ended.
   */
  drain(ms: number): Promise<boolean>;
  /** Stops at once; calls in flight fail with UNAVAILABLE or CANCELLED. */
  stop(): Promise<void>;
}

/**
 * Starts a server, with health and reflection. Refuses to start when a method declares no permission, or when other
 * machines could reach it and nobody would ask them who they are.
 */
export async function createServer(options: ServerOptions): Promise<RpcServer> {
  const host = options.host ?? '127.0.0.1';
  if (!options.authenticate && !isLoopback(host)) {
    const text = `a server on ${host} needs authentication; give \`authenticate\`, or listen on 127.0.0.1`;
    throw new CodedError('failed_precondition', 'AUTHENTICATION_REQUIRED', text);
  }
  const services = options.implementations.map((i) => i.service);
  const health = createHealth(services.map((s) => s.typeName));
  const routes = createRoutes(
    [...options.implementations, health.implementation, ...reflection(services)],
    options,
  );
  const maxBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
  const perConnection = options.maxHeldBytes ?? 8 * maxBytes;
  const held = limitHeldBytes({
    perConnection,
    inAll: 2 * perConnection,
    arrivalMs: options.defaultDeadlineMs ?? 60_000,
    isSingle: (path) => /^(unary|server_streaming)$/.test(routes.get(path)?.method.methodKind ?? ''),
  });
  const keepalive = options.keepalive ?? { everyMs: 30_000, timeoutMs: 10_000 };
  const server = new Server({
    interceptors: [held.interceptor],
    'grpc.max_receive_message_length': maxBytes,
    'grpc.max_send_message_length': maxBytes,
    'grpc.max_concurrent_streams': options.maxConcurrentStreams ?? 1024,
    'grpc.keepalive_time_ms': keepalive.everyMs,
    'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
    'grpc.max_connection_idle_ms': options.idleMs ?? 900_000,
    'grpc-node.flow_control_window': 1024 * 1024,
  });
  const watches = new Set<() => void>();
  for (const route of routes.values()) registerRoute(server, route, { watches, taken: held.taken });
  const injector = server.createConnectionInjector(options.credentials ?? ServerCredentials.createInsecure());
  const place = { host, port: options.port ?? 0, maxConnections: options.maxConnections ?? 4096 };
  const listener = await listen(place, (socket) => injector.injectConnection(socket));
  const { port } = listener;
  // grpc-js calls an injected connection closed as soon as it is told to close; the listener knows when it has ended.
  const closing = async (): Promise<true> => {
    const ended = listener.close();
    server.tryShutdown(() => undefined);
    await ended;
    return true;
  };
  const force = () => {
    void listener.close();
    held.stop();
    server.forceShutdown();
  };
  return {
    address: `${bracketed(host)}:${port}`,
    port,
    setServing: health.setServing,
    drain: async (ms) => {
      health.setServing(false);
      const closed = closing();
      for (const end of watches) end();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<false>((resolve) => {
        timer = setTimeout(() => resolve(false), ms);
      });
      const inTime = await Promise.race([closed, late]);
      clearTimeout(timer);
      held.stop();
      if (!inTime) force();
      return inTime;
    },
    stop: async () => {
      health.setServing(false);
      force();
    },
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
