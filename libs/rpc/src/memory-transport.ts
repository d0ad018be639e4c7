import { CodedError } from '@millrace/errors';
import { tooLarge } from './codec.ts';
import { callerLeft, type ServerCall, type WireCall } from './context.ts';
import type { Implementation } from './handlers.ts';
import { createPipe } from './pipe.ts';
import { createRoutes, defaultMaxMessageBytes, type Route, type RouterOptions, startCall } from './router.ts';
import { fromWire, toWire } from './status.ts';
import { type ClientCall, cancelledByCaller, streamLimit, type Transport } from './transport.ts';

/**
 * Calls implementations in this process, without a socket. Messages are serialised, validated and intercepted, and
 * errors mapped, as a server does.
 */
export function memoryTransport(
  implementations: readonly Implementation[],
  options: RouterOptions = {},
): Transport {
  const routes = createRoutes(implementations, options);
  const maxBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
  const routeOf = (call: ClientCall): Route => {
    const route = routes.get(call.path);
    if (route) return route;
    throw new CodedError('unimplemented', 'UNIMPLEMENTED', `the server has no method ${call.path.slice(1)}`);
  };
  const checked = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length > maxBytes) throw tooLarge('request', bytes.length, maxBytes);
    return bytes;
  };
  return {
    unary: async (call, request) => {
      const route = routeOf(call);
      const served = startCall(route, wireOf(call));
      served.request = checked(request);
      const release = follow(call.signal, served);
      try {
        await route.run(served);
        return served.response ?? new Uint8Array();
      } catch (error) {
        throw call.signal?.aborted ? cancelledByCaller() : travelled(error);
      } finally {
        release();
      }
    },
    stream: (call, requests) => stream(call, requests, routeOf, checked),
    close: () => undefined,
  };
}

async function* stream(
  call: ClientCall,
  requests: AsyncIterable<Uint8Array>,
  routeOf: (call: ClientCall) => Route,
  checked: (bytes: Uint8Array) => Uint8Array,
): AsyncGenerator<Uint8Array, void, undefined> {
  const route = routeOf(call);
  const answers = createPipe<Uint8Array>({ limit: streamLimit });
  const served = startCall(
    route,
    wireOf(call, (bytes) => (answers.push(bytes) ? undefined : answers.room())),
  );
  const incoming = createPipe<Uint8Array>({ limit: streamLimit });
  const release = follow(call.signal, served, () => incoming.fail(callerLeft(), true));
  const single = route.method.methodKind === 'server_streaming';
  const pump = async () => {
    try {
      for await (const request of requests) {
        if (served.ended) return;
        if (!incoming.push(checked(request))) await incoming.room();
      }
      incoming.end();
    } catch (error) {
      // The caller's own failure: it gets its error back, and the server sees a caller that left.
      answers.fail(error, true);
      served.end(callerLeft());
      incoming.fail(callerLeft(), true);
    }
  };
  const run = async () => {
    try {
      if (single) for await (const request of incoming) served.request = request;
      else served.requests = incoming;
      await route.run(served);
      if (served.response) answers.push(served.response);
      answers.end();
    } catch (error) {
      answers.fail(call.signal?.aborted ? cancelledByCaller() : travelled(error), call.signal?.aborted);
    } finally {
      incoming.fail(callerLeft(), true);
    }
  };
  void pump();
  void run();
  try {
    yield* answers;
  } finally {
    served.end(callerLeft());
    incoming.fail(callerLeft(), true);
    release();
  }
}

function wireOf(call: ClientCall, send?: WireCall['send']): WireCall {
  const metadata = new Map(Object.entries(call.metadata));
  return {
    peer: 'memory',
    deadlineMs: call.deadlineMs,
    header: (name) => metadata.get(name),
    metadata: () => metadata,
    ...(send ? { send } : {}),
  };
}

/** Ends the call when the caller's signal fires; the answer stops listening. */
function follow(signal: AbortSignal | undefined, served: ServerCall, also?: () => void): () => void {
  if (!signal) return () => undefined;
  const leave = () => {
    served.end(callerLeft());
    also?.();
  };
  if (signal.aborted) leave();
  else signal.addEventListener('abort', leave, { once: true });
  return () => signal.removeEventListener('abort', leave);
}

/** What arrives of an error at the other side. */
function travelled(error: unknown): CodedError {
  if (!(error instanceof CodedError)) throw error;
  const { code, message, details } = toWire(error);
  return fromWire(code, message, details);
}
