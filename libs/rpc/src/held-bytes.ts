import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import { kinds } from '@millrace/errors';

export interface HeldBytesOptions {
  /** What one connection may hold. */
  readonly perConnection: number;
  /** What all of them together may hold. */
  readonly inAll: number;
  /** How long the one request of a call may take to arrive, in milliseconds. */
  readonly arrivalMs: number;
  /** Whether a path takes exactly one request. */
  isSingle(path: string): boolean;
}

/** What a piece of a message costs beside its bytes, so that a drip of single bytes is not cheap. */
const pieceBytes = 256;
const sweepMs = 250;

/** One open call. */
interface Held {
  readonly stream: ServerHttp2Stream;
  readonly call: ServerInterceptingCallInterface;
  readonly session: ServerHttp2Session | undefined;
  readonly sinceMs: number;
  readonly single: boolean;
  /** What it is charged with. */
  bytes: number;
  /** How much of that is the pieces of a message that is not whole yet. */
  pieces: number;
}

/** Bounds what callers can make a server hold. */
export interface HeldBytes {
  readonly interceptor: ServerInterceptor;
  /** A handler has taken this message of a stream of requests. */
  taken(message: Uint8Array): void;
  stop(): void;
}

/**
 * Counts the bytes of requests that have arrived, of one connection and of all, and of answers that are not read. gRPC
 * limits single messages only, and grpc-js takes whatever comes without regard to flow control: a thousand streams
 * with a message each that never ends would fill the memory. A call that takes its connection beyond its share is
 * answered RESOURCE_EXHAUSTED; a connection that does not read its answers is closed. Calls whose request does not
 * arrive in time end, though their client keeps the connection alive.
 */
export function limitHeldBytes(options: HeldBytesOptions): HeldBytes {
  const open = new Set<Held>();
  const bySession = new Map<ServerHttp2Session | undefined, number>();
  const waiting = new WeakMap<Uint8Array, Held>();
  let inAll = 0;

  const charge = (held: Held, bytes: number) => {
    held.bytes += bytes;
    inAll += bytes;
    const own = (bySession.get(held.session) ?? 0) + bytes;
    if (own > 0) bySession.set(held.session, own);
    else bySession.delete(held.session);
  };

  const leave = (held: Held) => {
    if (!open.delete(held)) return;
    charge(held, -held.bytes);
  };

  const sweep = setInterval(() => {
    const late = performance.now() - options.arrivalMs;
    const unread = new Map<ServerHttp2Session, number>();
    for (const held of open) {
      const { stream, session } = held;
      if (held.single && held.sinceMs < late && !stream.readableEnded)
        refuse(
          held,
          kinds.deadline_exceeded.grpc,
          `the request took more than ${options.arrivalMs} ms to arrive`,
        );
      if (session) unread.set(session, (unread.get(session) ?? 0) + stream.writableLength);
    }
    for (const [session, bytes] of unread)
      if (bytes > options.perConnection) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }, sweepMs);
  sweep.unref();

  const interceptor: ServerInterceptor = (method, call) => {
    const stream = streamOf(call);
    const single = options.isSingle(method.path);
    const session = stream.session as ServerHttp2Session | undefined;
    const held: Held = { stream, call, session, sinceMs: performance.now(), single, bytes: 0, pieces: 0 };
    open.add(held);
    stream.on('data', (piece: Buffer) => {
      if (!open.has(held)) return;
      held.pieces += piece.length + pieceBytes;
      charge(held, piece.length + pieceBytes);
      // When all are too many, those pay that hold more than an even share.
      const share = inAll > options.inAll ? options.inAll / bySession.size : options.perConnection;
      if ((bySession.get(session) ?? 0) <= Math.min(share, options.perConnection)) return;
      const details = 'the open requests of this connection are too large together; ask again later';
      refuse(held, kinds.resource_exhausted.grpc, details);
      leave(held);
    });
    stream.once('close', () => leave(held));
    // The one request of a call is held until it is answered; of many, each until the handler takes it.
    if (single) return call as ServerInterceptingCall;
    const listener = new ServerListenerBuilder().withOnReceiveMessage((message: Uint8Array, next) => {
      charge(held, message.length + pieceBytes - held.pieces);
      held.pieces = 0;
      waiting.set(message, held);
      next(message);
    });
    return new ServerInterceptingCall(call, { start: (next) => next(listener.build()) });
  };
  return {
    interceptor,
    taken(message) {
      const held = waiting.get(message);
      if (held && open.has(held)) charge(held, -message.length - pieceBytes);
    },
    stop: () => clearInterval(sweep),
  };
}

/** Answers, and resets the stream: whoever does not listen could go on sending. */
function refuse({ stream, call }: Held, code: number, details: string): void {
  call.sendStatus({ code, details });
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** The HTTP/2 stream of a call, which grpc-js does not give away: only the stream tells of pieces and of its connection. */
function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  return (call as unknown as { readonly stream: ServerHttp2Stream }).stream;
}
