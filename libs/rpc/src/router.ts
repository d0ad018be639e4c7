import type { DescMethod, Message, MessageInitShape } from '@bufbuild/protobuf';
import { CodedError } from '@millrace/errors';
import { decodeRequest, encodeMessage, tooLarge } from './codec.ts';
import { type Logger, ServerCall, silent, type WireCall } from './context.ts';
import type { ErasedHandler, Implementation } from './handlers.ts';
import { type Authenticate, authentication, type Permissions, permissionOf } from './interceptors/auth.ts';
import { deadline } from './interceptors/deadline.ts';
import { errors } from './interceptors/errors.ts';
import { serverTelemetry } from './interceptors/telemetry.ts';
import { validatorOf } from './validation/validator.ts';

/** The rest of the way of a call; it fails with what the caller gets to see. */
export type Next = (call: ServerCall) => Promise<void>;

/** Stands in the way of every call: does something before and after `next`, or refuses by throwing. */
export type Interceptor = (call: ServerCall, next: Next) => Promise<void>;

/** What a server does with calls, however they come. */
export interface RouterOptions {
  /** Own interceptors; they run after authentication, in this order. */
  readonly interceptors?: readonly Interceptor[];
  readonly log?: Logger;
  /** Tells who calls. Without it everybody may do everything, and only loopback can be served. */
  readonly authenticate?: Authenticate;
  /** Permissions of methods whose contracts are not ours and so declare none. */
  readonly permissions?: Permissions;
  /** @default 16 MiB */
  readonly maxMessageBytes?: number;
  /** The deadline of unary calls that came without one. @default 60_000 */
  readonly defaultDeadlineMs?: number;
  /** The deadline of streams that came without one. @default 3_600_000 */
  readonly defaultStreamDeadlineMs?: number;
}

/** One method, ready to be called. */
export interface Route {
  /** `/millrace.registry.v1.RegistryService/GetModel` */
  readonly path: string;
  readonly method: DescMethod;
  readonly log: Logger;
  /** Answers a call. Fails only with coded errors that may leave. */
  readonly run: Next;
}

export const defaultMaxMessageBytes = 16 * 1024 * 1024;

/**
 * How many bytes of memory a request may take: 192 MiB, or six for each byte that a message may have where that is more.
 * Lists of numbers of 4 bytes take six times as many once they are read. A pipeline of 2 MiB of JSON takes up to 175 MB
 * (700,000 empty objects, or as many digits in 100,000 lists), and cannot be sent in parts; only one that is little but
 * lists within lists takes more. What the rules refuse is let go before the next request is read.
 */
export const maxRequestWeight = (maxBytes: number) => Math.max(192 * 1024 * 1024, 6 * maxBytes);

/** Builds the routes of implementations; refuses methods without permission. */
export function createRoutes(
  implementations: readonly Implementation[],
  options: RouterOptions = {},
): ReadonlyMap<string, Route> {
  const routes = new Map<string, Route>();
  const log = options.log ?? silent;
  const undeclared: string[] = [];
  for (const { service, handler } of implementations)
    for (const method of service.methods) {
      const name = `${service.typeName}/${method.name}`;
      const permission = permissionOf(method, options.permissions);
      const handle = handler(method);
      if (permission === undefined) undeclared.push(name);
      if (!handle)
        throw new CodedError('unimplemented', 'UNIMPLEMENTED', `${name} is declared and not implemented`);
      const chain: Interceptor[] = [
        serverTelemetry(method),
        errors,
        deadline(method, options),
        authentication(permission ?? '', options.authenticate),
        ...(options.interceptors ?? []),
      ];
      const last = answer(method, handle, options.maxMessageBytes ?? defaultMaxMessageBytes);
      const run = chain.reduceRight<Next>((next, step) => (call) => step(call, next), last);
      routes.set(`/${name}`, { path: `/${name}`, method, log, run });
    }
  if (undeclared.length > 0) {
    const text = `these methods declare no permission: ${undeclared.join(', ')}; set the option (millrace.common.v1.permission), or give them one in \`permissions\``;
    throw new CodedError('failed_precondition', 'PERMISSION_UNDECLARED', text);
  }
  return routes;
}

/** A call to a route. */
export function startCall(route: Route, wire: WireCall): ServerCall {
  return new ServerCall(route.path.slice(1), route.method, wire, route.log);
}

/** The end of the chain: decodes, validates, runs the handler, encodes. */
function answer(method: DescMethod, handle: ErasedHandler, maxBytes: number): Next {
  const validate = validatorOf(method.input);
  const decode = (bytes: Uint8Array): Message => {
    const message = decodeRequest(method.input, bytes, maxRequestWeight(maxBytes));
    validate?.(message);
    return message;
  };
  const encode = (init: unknown): Buffer => {
    const bytes = encodeMessage(method.output, init as MessageInitShape<DescMethod['output']>);
    if (bytes.length > maxBytes) throw tooLarge('answer', bytes.length, maxBytes);
    return bytes;
  };
  const requestOf = (call: ServerCall) =>
    call.requests ? decodeAll(call.requests, decode) : decode(call.request ?? new Uint8Array());
  if (method.methodKind === 'unary' || method.methodKind === 'client_streaming')
    return async (call) => {
      const result = handle(requestOf(call), call) as Promise<unknown>;
      call.response = encode(await call.untilEnded(result));
    };
  return async (call) => {
    const answers = handle(requestOf(call), call) as AsyncIterable<unknown>;
    const iterator = answers[Symbol.asyncIterator]();
    let done = false;
    try {
      for (;;) {
        const step = await call.untilEnded(iterator.next());
        if (step.done) break;
        const room = call.wire.send?.(encode(step.value));
        if (room) await call.untilEnded(room);
      }
      done = true;
    } finally {
      // A handler that waits for something else returns when that wait is over; nobody waits for it here.
      if (!done) iterator.return?.()?.then(undefined, () => undefined);
    }
  };
}

async function* decodeAll(
  requests: AsyncIterable<Uint8Array>,
  decode: (bytes: Uint8Array) => Message,
): AsyncGenerator<Message> {
  for await (const bytes of requests) yield decode(bytes);
}
