import type { DescMethod } from '@bufbuild/protobuf';
import { CodedError } from '@millrace/errors';

/** One call as a client makes it. */
export interface ClientCall {
  readonly method: DescMethod;
  /** `/millrace.registry.v1.RegistryService/GetModel` */
  readonly path: string;
  /** When the caller stops waiting, in milliseconds since 1970. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
  /** Textual metadata; keys in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Carries serialised messages to a server. All failures are coded errors. */
export interface Transport {
  unary(call: ClientCall, request: Uint8Array): Promise<Uint8Array>;
  /** Any kind of stream; ending the iteration early cancels the call. */
  stream(call: ClientCall, requests: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** Lets go of connections. */
  close(): void;
}

/** How many messages of a stream wait in memory on each side before its writer is held back. */
export const streamLimit = 16;

/** The caller's own signal ended the call. */
export function cancelledByCaller(): CodedError {
  return new CodedError('cancelled', 'CANCELLED', 'the call was cancelled');
}
