import type { PeerCertificate } from 'node:tls';
import {
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  type Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { CodedError } from '@millrace/errors';
import { callerLeft, deadlinePassed, type ServerCall, type WireCall } from './context.ts';
import { createPipe } from './pipe.ts';
import { type Route, startCall } from './router.ts';
import { detailsKey, toWire } from './status.ts';
import { streamLimit } from './transport.ts';

type Unary = ServerUnaryCall<Buffer, Buffer>;
type Duplex = ServerDuplexStream<Buffer, Buffer>;
type Surface = Unary | Duplex;

const same = (bytes: Buffer) => bytes;

/** What the calls of a server share. */
interface Surroundings {
  /** Ends each watch that is open. */
  readonly watches: Set<() => void>;
  /** Told of each message that a handler takes from a stream of requests. */
  taken(message: Uint8Array): void;
}

/** Registers a route. Messages stay bytes here; the route decodes and encodes. */
export function registerRoute(server: Server, route: Route, around: Surroundings): void {
  if (route.method.methodKind === 'unary') server.register(route.path, unary(route), same, same, 'unary');
  // The other kinds differ only in how many messages each side sends, and the route knows that.
  else server.register(route.path, duplex(route, around), same, same, 'bidi');
}

function unary(route: Route): handleUnaryCall<Buffer, Buffer> {
  return (call, callback) => {
    const served = startCall(route, new GrpcWire(call));
    served.request = call.request;
    // grpc-js tells of it after the end of calls that went well, too.
    let open = true;
    call.on('cancelled', () => {
      if (open) served.end(leftOrLate(served));
    });
    route
      .run(served)
      .finally(() => {
        open = false;
      })
      .then(
        () => callback(null, served.response as Buffer),
        (error) => callback(statusOf(error)),
      )
      .catch((err) => served.log.warn({ err }, 'the answer could not be sent'));
  };
}

function duplex(route: Route, { watches, taken }: Surroundings): handleBidiStreamingCall<Buffer, Buffer> {
  const single = route.method.methodKind === 'server_streaming';
  const isWatch = single && route.method.name.startsWith('Watch');
  return (call) => {
    const served = startCall(route, new GrpcWire(call));
    const requests = createPipe<Uint8Array>({
      limit: streamLimit,
      onTake: taken,
      onRoom: () => call.resume(),
    });
    const end = (reason: CodedError) => {
      served.end(reason);
      requests.fail(reason, true);
    };
    const endWatch = () => end(draining());
    if (isWatch) watches.add(endWatch);
    call.on('data', (bytes: Buffer) => {
      if (!requests.push(bytes)) call.pause();
    });
    call.on('end', () => requests.end());
    let open = true;
    call.on('cancelled', () => {
      if (open) end(leftOrLate(served));
    });
    answer(route, served, requests, single)
      .finally(() => {
        open = false;
      })
      .then(
        () => {
          if (served.response) call.write(served.response as Buffer);
          call.end();
        },
        (error) => call.cancelled || call.emit('error', statusOf(error)),
      )
      .catch((err) => served.log.warn({ err }, 'the answer could not be sent'))
      .finally(() => {
        watches.delete(endWatch);
        requests.fail(callerLeft(), true);
      });
  };
}

async function answer(
  route: Route,
  served: ServerCall,
  requests: AsyncIterable<Uint8Array>,
  single: boolean,
): Promise<void> {
  if (!single) {
    served.requests = requests;
    return route.run(served);
  }
  for await (const request of requests) {
    if (served.request) throw malformed('more than one request');
    served.request = request;
  }
  if (!served.request) throw malformed('no request');
  return route.run(served);
}

/** Where a caller broke the protocol itself, the status that gRPC gives for it. */
function malformed(what: string): CodedError {
  return new CodedError('unimplemented', 'UNIMPLEMENTED', `the call carries ${what}; allowed: exactly one`);
}

function draining(): CodedError {
  return new CodedError('unavailable', 'UNAVAILABLE', 'the server is stopping; connect again');
}

function leftOrLate(served: ServerCall): CodedError {
  return Date.now() >= served.deadlineMs ? deadlinePassed() : callerLeft();
}

/** What grpc-js knows of a call, read when it is asked for. */
class GrpcWire implements WireCall {
  readonly deadlineMs: number;
  readonly #call: Surface;

  constructor(call: Surface) {
    const deadline = call.getDeadline();
    this.deadlineMs = typeof deadline === 'number' ? deadline : deadline.getTime();
    this.#call = call;
  }

  get peer(): string {
    return this.#call.getPeer();
  }

  header(name: string): string | undefined {
    const value = this.#call.metadata.get(name)[0];
    return typeof value === 'string' ? value : undefined;
  }

  metadata(): ReadonlyMap<string, string> {
    return readAll(this.#call.metadata);
  }

  certificate(): PeerCertificate | undefined {
    return this.#call.getAuthContext().sslPeerCertificate;
  }

  send(bytes: Uint8Array): Promise<void> | undefined {
    const call = this.#call as Duplex;
    if (call.write(bytes as Buffer)) return undefined;
    return new Promise((resolve) => call.once('drain', resolve));
  }
}

function readAll(metadata: Metadata): ReadonlyMap<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(metadata.getMap()))
    if (typeof value === 'string') all.set(key, value);
  return all;
}

function statusOf(caught: unknown) {
  const error =
    caught instanceof CodedError ? caught : new CodedError('internal', 'INTERNAL', 'internal error');
  const { code, message, details } = toWire(error);
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(details));
  return Object.assign(new Error(message), { code, details: message, metadata });
}
