import type {
  DescMessage,
  DescMethod,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import { CodedError, invalidField } from '@millrace/errors';
import { decodeResponse, encodeRequest } from './codec.ts';
import { type ClientTelemetry, clientTelemetry } from './interceptors/client-telemetry.ts';
import { mayRetry, retryDelayMs } from './retry.ts';
import { type ClientCall, cancelledByCaller, type Transport } from './transport.ts';

/** What may be given to one call. */
export interface CallOptions {
  /** How long to wait for the call, in milliseconds from now. */
  readonly deadlineMs?: number;
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** Textual metadata to send; keys in lower case. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface ClientOptions {
  /** How long calls may take that say nothing else. Without it each call must say. */
  readonly deadlineMs?: number;
  /** Metadata for every call, for example a token; a function is asked before each call. */
  readonly metadata?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>);
}

type ClientMethod<M> = M extends {
  methodKind: infer Kind;
  input: infer I extends DescMessage;
  output: infer O extends DescMessage;
}
  ? Kind extends 'unary'
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : Kind extends 'server_streaming'
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : Kind extends 'client_streaming'
        ? (requests: AsyncIterable<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : (
            requests: AsyncIterable<MessageInitShape<I>>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<O>>
  : never;

/** One function for each method of a service. Failures are coded errors. */
export type Client<S extends DescService> = {
  readonly [K in keyof S['method']]: ClientMethod<S['method'][K]>;
};

/** 23 days; longer deadlines overflow the 32-bit timers of servers. */
const maxWaitMs = 2_000_000_000;

type Requests = AsyncIterable<MessageInitShape<DescMessage>>;

/** Makes a client. Iterating a stream starts its call, and leaving the loop early cancels it. */
export function createClient<S extends DescService>(
  service: S,
  transport: Transport,
  options: ClientOptions = {},
): Client<S> {
  const client: Record<string, unknown> = {};
  for (const method of (service as DescService).methods)
    client[method.localName] = callable(method, transport, options);
  return client as Client<S>;
}

function callable(method: DescMethod, transport: Transport, defaults: ClientOptions): unknown {
  const path = `/${method.parent.typeName}/${method.name}`;
  const telemetry = clientTelemetry(method);
  const start = (given: CallOptions | undefined) => startCall(method, path, defaults, given);
  switch (method.methodKind) {
    case 'unary':
      return (init: MessageInitShape<DescMessage>, given?: CallOptions) =>
        unary(transport, telemetry, init, () => start(given));
    case 'client_streaming':
      return async (requests: Requests, given?: CallOptions) =>
        only(stream(transport, telemetry, requests, () => start(given)));
    case 'server_streaming':
      return (init: MessageInitShape<DescMessage>, given?: CallOptions) =>
        stream(transport, telemetry, one(init), () => start(given));
    case 'bidi_streaming':
      return (requests: Requests, given?: CallOptions) =>
        stream(transport, telemetry, requests, () => start(given));
  }
}

function startCall(
  method: DescMethod,
  path: string,
  defaults: ClientOptions,
  given: CallOptions | undefined,
): ClientCall {
  const waitMs = given?.deadlineMs ?? defaults.deadlineMs;
  if (waitMs === undefined || Number.isNaN(waitMs)) {
    const text = `${path.slice(1)} was called without a deadline; give deadlineMs to the client or the call`;
    throw new CodedError('invalid_argument', 'DEADLINE_REQUIRED', text);
  }
  const common = typeof defaults.metadata === 'function' ? defaults.metadata() : defaults.metadata;
  return {
    method,
    path,
    deadlineMs: Date.now() + Math.min(waitMs, maxWaitMs),
    signal: given?.signal,
    metadata: checked({ ...common, ...given?.metadata }),
  };
}

/** Refuses metadata that HTTP/2 headers cannot carry. */
function checked(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const key in metadata) {
    if (!/^[0-9a-z_.-]+$/.test(key) || key.endsWith('-bin'))
      throw invalidField('metadata', `the key ${JSON.stringify(key)}`, '[0-9a-z_.-]+, not ending in -bin');
    if (!/^[ -~]*$/.test(metadata[key] ?? ''))
      throw invalidField('metadata', `the value of ${key}`, 'printable ASCII');
  }
  return metadata;
}

async function unary(
  transport: Transport,
  telemetry: ClientTelemetry,
  init: MessageInitShape<DescMessage>,
  start: () => ClientCall,
): Promise<Message> {
  const { call, finish } = telemetry(start());
  let failure: unknown;
  try {
    const { method } = call;
    const bytes = encodeRequest(method.input, init);
    let awaySince: number | undefined;
    for (let attempts = 1; ; attempts++) {
      try {
        return decodeResponse(method.output, await transport.unary(call, bytes));
      } catch (error) {
        const now = performance.now();
        awaySince ??= now;
        const delayMs = mayRetry(method, init, error, now - awaySince)
          ? retryDelayMs(attempts, call.deadlineMs - Date.now(), error.retryAfterMs)
          : undefined;
        if (delayMs === undefined) throw error;
        await pause(delayMs, call.signal);
      }
    }
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    finish(failure);
  }
}

async function* stream(
  transport: Transport,
  telemetry: ClientTelemetry,
  requests: Requests,
  start: () => ClientCall,
): AsyncGenerator<Message, void, undefined> {
  const { call, finish } = telemetry(start());
  let failure: unknown;
  try {
    const encoded = encodeAll(call.method.input, requests);
    for await (const bytes of transport.stream(call, encoded))
      yield decodeResponse(call.method.output, bytes);
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    finish(failure);
  }
}

async function* encodeAll(type: DescMessage, requests: Requests): AsyncGenerator<Uint8Array> {
  for await (const request of requests) yield encodeRequest(type, request);
}

async function* one<T>(value: T): AsyncGenerator<T> {
  yield value;
}

async function only(answers: AsyncIterable<Message>): Promise<Message> {
  let found: Message | undefined;
  for await (const answer of answers) found = answer;
  if (!found) throw new CodedError('internal', 'INTERNAL', 'the server ended the call without an answer');
  return found;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return Promise.reject(cancelledByCaller());
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(cancelledByCaller());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
