import { randomUUID } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import type { DescMethod } from '@bufbuild/protobuf';
import { CodedError } from '@millrace/errors';

/** Where a service's lines go; pino's loggers fit. */
export interface Logger {
  debug(fields: object, message?: string): void;
  info(fields: object, message?: string): void;
  warn(fields: object, message?: string): void;
  error(fields: object, message?: string): void;
  /** Whether lines of this level are written; without it every line is made. */
  isLevelEnabled?(level: string): boolean;
}

/** Who calls, and what they may do. */
export interface Identity {
  readonly subject: string;
  readonly permissions: 'all' | ReadonlySet<string>;
}

/** What a handler knows about the call it answers. */
export interface CallContext {
  /** `millrace.registry.v1.RegistryService/GetModel` */
  readonly method: string;
  /** Aborted when the caller goes away, the deadline passes or the server stops. */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds since 1970. */
  readonly deadlineMs: number;
  /** Names this call in logs: the caller's `x-request-id`, or a new one. */
  readonly requestId: string;
  /** The caller's address, or `memory`. */
  readonly peer: string;
  /** The textual metadata of the call; keys in lower case. */
  readonly metadata: ReadonlyMap<string, string>;
  /** The W3C trace context of this call. */
  readonly traceparent?: string | undefined;
  readonly identity: Identity;
  /** The request as it came; undefined where requests are streamed. */
  readonly request: Uint8Array | undefined;
  /** Adds method and request id to each line. */
  readonly log: Logger;
}

/** What a transport tells about a call. */
export interface WireCall {
  readonly peer: string;
  /** In milliseconds since 1970; Infinity when the caller sent none. */
  readonly deadlineMs: number;
  header(name: string): string | undefined;
  metadata(): ReadonlyMap<string, string>;
  /** The caller's certificate under mutual TLS. */
  certificate?(): PeerCertificate | undefined;
  /** Sends one message of a streamed answer; a promise where the caller must wait for room. */
  send?(bytes: Uint8Array): Promise<void> | undefined;
}

const callersRequestId = /^[A-Za-z0-9._:-]{1,128}$/;
const nobody: Identity = { subject: 'anonymous', permissions: 'all' };

/**
 * One call on its way through the server. What not every call needs (signal, metadata, log, request id) is made when
 * it is first asked for.
 */
export class ServerCall implements CallContext {
  readonly method: string;
  readonly descriptor: DescMethod;
  readonly wire: WireCall;
  deadlineMs: number;
  traceparent: string | undefined;
  identity: Identity = nobody;
  request: Uint8Array | undefined;
  requests: AsyncIterable<Uint8Array> | undefined;
  /** The answer's bytes; stays undefined where answers are streamed. */
  response: Uint8Array | undefined;
  #log: Logger;
  #lines: Logger | undefined;
  #requestId: string | undefined;
  #controller: AbortController | undefined;
  #ended: CodedError | undefined;
  #onEnd: ((reason: CodedError) => void) | undefined;

  constructor(method: string, descriptor: DescMethod, wire: WireCall, log: Logger) {
    this.method = method;
    this.descriptor = descriptor;
    this.wire = wire;
    this.deadlineMs = wire.deadlineMs;
    this.traceparent = wire.header('traceparent');
    this.#log = log;
  }

  get peer(): string {
    return this.wire.peer;
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.wire.metadata();
  }

  get requestId(): string {
    if (this.#requestId === undefined) {
      const given = this.wire.header('x-request-id');
      this.#requestId = given && callersRequestId.test(given) ? given : randomUUID();
    }
    return this.#requestId;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#ended) this.#controller.abort(this.#ended);
    }
    return this.#controller.signal;
  }

  get log(): Logger {
    this.#lines ??= withFields(this.#log, { method: this.method, requestId: this.requestId });
    return this.#lines;
  }

  /** Whether the log wants the details of calls that went well. */
  get verbose(): boolean {
    return this.#log.isLevelEnabled?.('debug') ?? true;
  }

  /** Why the call ended before its handler did; undefined while it goes on. */
  get ended(): CodedError | undefined {
    return this.#ended;
  }

  /** Ends the call: whoever waits in {@link untilEnded} is released at once, and the signal fires. */
  end(reason: CodedError): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#onEnd?.(reason);
    this.#controller?.abort(reason);
  }

  /** Settles as the promise does, or fails at once when the call is ended. One waiter at a time. */
  untilEnded<T>(promise: PromiseLike<T>): Promise<T> {
    if (this.#ended) {
      promise.then(undefined, ignore);
      return Promise.reject(this.#ended);
    }
    return new Promise<T>((resolve, reject) => {
      this.#onEnd = reject;
      promise.then(resolve, reject);
    });
  }
}

/** The caller went away. */
export function callerLeft(): CodedError {
  return new CodedError('cancelled', 'CANCELLED', 'the caller went away');
}

/** The deadline of a call passed. */
export function deadlinePassed(): CodedError {
  const text = 'the call did not finish within its deadline';
  return new CodedError('deadline_exceeded', 'DEADLINE_EXCEEDED', text);
}

/** Writes nothing. */
export const silent: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  isLevelEnabled: () => false,
};

function withFields(log: Logger, fields: object): Logger {
  return {
    debug: (more, message) => log.debug({ ...fields, ...more }, message),
    info: (more, message) => log.info({ ...fields, ...more }, message),
    warn: (more, message) => log.warn({ ...fields, ...more }, message),
    error: (more, message) => log.error({ ...fields, ...more }, message),
  };
}

function ignore(): void {}
