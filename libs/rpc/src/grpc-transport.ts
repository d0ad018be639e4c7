import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { type CodedError, kinds } from '@millrace/errors';
import { tooLarge } from './codec.ts';
import { createPipe, type Pipe } from './pipe.ts';
import { defaultMaxMessageBytes } from './router.ts';
import { detailsKey, fromWire } from './status.ts';
import { type ClientCall, cancelledByCaller, streamLimit, type Transport } from './transport.ts';

export interface GrpcTransportOptions {
  /** `host:port`, or any target of gRPC name resolution. */
  readonly address: string;
  /** @default no encryption */
  readonly credentials?: ChannelCredentials;
  /** Limits messages in both directions. @default 16 MiB */
  readonly maxMessageBytes?: number;
}

const same = (bytes: Buffer) => bytes;

/**
 * How soon a channel tries again to connect, in milliseconds: first and at the most. Each draws its own, because the
 * fifth by which gRPC varies its delays ("gRPC Connection Backoff Protocol") leaves a crowd that lost its server in step.
 */
function reconnectPace() {
  return {
    'grpc.initial_reconnect_backoff_ms': Math.round(50 + Math.random() * 100),
    'grpc.max_reconnect_backoff_ms': Math.round(1_500 + Math.random() * 1_500),
  };
}

/**
 * Calls a server over gRPC. One transport is one channel with a connection of its own, made when it is first used and again
 * when it is lost.
 */
export function grpcTransport(options: GrpcTransportOptions): Transport {
  const maxBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
  const client = new Client(options.address, options.credentials ?? credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxBytes,
    'grpc.max_send_message_length': maxBytes,
    'grpc.keepalive_time_ms': 20_000,
    'grpc.keepalive_timeout_ms': 5_000,
    ...reconnectPace(),
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    'grpc-node.flow_control_window': 1024 * 1024,
  });
  return {
    unary: (call, request) =>
      new Promise((resolve, reject) => {
        if (call.signal?.aborted) return reject(cancelledByCaller());
        if (request.length > maxBytes) return reject(tooLarge('request', request.length, maxBytes));
        let stop: (() => void) | undefined;
        const running = client.makeUnaryRequest(
          call.path,
          same,
          same,
          asBuffer(request),
          metadataOf(call),
          { deadline: call.deadlineMs },
          (error, answer) => {
            if (stop) call.signal?.removeEventListener('abort', stop);
            if (error) reject(codedOf(error, call, options.address));
            else resolve(answer ?? Buffer.alloc(0));
          },
        );
        if (!call.signal) return;
        stop = () => running.cancel();
        call.signal.addEventListener('abort', stop, { once: true });
      }),
    stream: (call, requests) => stream(client, options.address, call, requests, maxBytes),
    close: () => client.close(),
  };
}

async function* stream(
  client: Client,
  address: string,
  call: ClientCall,
  requests: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (call.signal?.aborted) throw cancelledByCaller();
  const running = client.makeBidiStreamRequest(call.path, same, same, metadataOf(call), {
    deadline: call.deadlineMs,
  });
  const answers = createPipe<Uint8Array>({ limit: streamLimit, onRoom: () => running.resume() });
  let failure: CodedError | undefined;
  let over = false;
  running.on('data', (bytes: Buffer) => {
    if (!answers.push(bytes)) running.pause();
  });
  running.on('error', (error) => {
    failure = codedOf(error as ServiceError, call, address);
    over = true;
    if (failure.kind === 'cancelled' || failure.kind === 'deadline_exceeded') answers.fail(failure, true);
  });
  running.on('end', () => {
    over = true;
    if (failure) answers.fail(failure);
    else answers.end();
  });
  const stop = () => running.cancel();
  call.signal?.addEventListener('abort', stop, { once: true });
  void send(running, requests, answers, () => over, maxBytes);
  try {
    yield* answers;
  } finally {
    call.signal?.removeEventListener('abort', stop);
    if (!over) running.cancel();
  }
}

/** Sends the requests, no faster than the server takes them, until they or the call end. */
async function send(
  running: ClientDuplexStream<Buffer, Buffer>,
  requests: AsyncIterable<Uint8Array>,
  answers: Pipe<Uint8Array>,
  isOver: () => boolean,
  maxBytes: number,
): Promise<void> {
  let release: (() => void) | undefined;
  const wake = () => release?.();
  for (const event of ['drain', 'error', 'end', 'close', 'status']) running.on(event, wake);
  try {
    for await (const request of requests) {
      if (isOver()) return;
      if (request.length > maxBytes) throw tooLarge('request', request.length, maxBytes);
      if (running.write(asBuffer(request))) continue;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    }
    if (!isOver()) running.end();
  } catch (error) {
    answers.fail(error, true);
    running.cancel();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function metadataOf(call: ClientCall): Metadata {
  const metadata = new Metadata();
  for (const key in call.metadata) {
    const value = call.metadata[key];
    if (value !== undefined) metadata.set(key, value);
  }
  return metadata;
}

function codedOf(error: ServiceError, call: ClientCall, address: string): CodedError {
  if (call.signal?.aborted && error.code === kinds.cancelled.grpc) return cancelledByCaller();
  const details = error.metadata?.get(detailsKey)[0];
  if (details !== undefined && typeof details !== 'string')
    return fromWire(error.code, error.details, details);
  // Without details it is grpc-js itself that speaks, or another implementation: say which server it is about.
  if (error.code === kinds.unavailable.grpc || isCutOff(error))
    return fromWire(kinds.unavailable.grpc, `${address}: ${error.details}`, undefined);
  return fromWire(error.code, error.details, undefined);
}

/** Whether a call ended without an answer because its connection or its server did; grpc-js calls that by other names. */
function isCutOff({ code, details }: ServiceError): boolean {
  return (
    code === kinds.cancelled.grpc ||
    (code === kinds.internal.grpc && /^Received RST_STREAM with code 0 /.test(details))
  );
}
