import { createServer, type Socket } from 'node:net';
import { CodedError } from '@millrace/errors';

/** A TCP port that hands its connections on, no more of them at once than it may. */
export interface Listener {
  readonly port: number;
  /** Takes no more connections; settles when those there are have ended. */
  close(): Promise<void>;
}

/**
 * Listens. Connections beyond `maxConnections` are closed at once, which clients see as UNAVAILABLE: the process keeps
 * file descriptors for its storage and for the answers to those it has accepted.
 */
export function listen(
  place: { readonly host: string; readonly port: number; readonly maxConnections: number },
  accept: (socket: Socket) => void,
): Promise<Listener> {
  const { host, port } = place;
  const server = createServer({ noDelay: true }, accept);
  server.maxConnections = place.maxConnections;
  return new Promise((resolve, reject) => {
    server.on('error', (cause) => {
      const text = `cannot listen on ${host}:${port}: ${cause.message}`;
      reject(new CodedError('unavailable', 'UNAVAILABLE', text, { cause }));
    });
    server.listen(port, host, () => {
      const bound = server.address();
      resolve({
        port: typeof bound === 'object' && bound ? bound.port : port,
        close: () => new Promise((ended) => server.close(() => ended())),
      });
    });
  });
}
