import type { DescMethod } from '@bufbuild/protobuf';
import { context, isSpanContextValid, SpanKind, trace } from '@opentelemetry/api';
import { formatTraceparent } from '../trace.ts';
import type { ClientCall } from '../transport.ts';
import { attributesOf, durations, fail } from './telemetry.ts';

/** Begins the span and the measurement of one call; gives the call with its trace, and what ends both. */
export type ClientTelemetry = (call: ClientCall) => {
  readonly call: ClientCall;
  /** @param failure what the call failed with, undefined when it did not */
  finish(failure: unknown): void;
};

/** One span and one duration for each call, retries included. A `traceparent` that the caller gave is kept. */
export function clientTelemetry(method: DescMethod): ClientTelemetry {
  const name = `${method.parent.typeName}/${method.name}`;
  const tracer = trace.getTracer('@millrace/rpc');
  const record = durations('rpc.client.call.duration', name);
  const options = { kind: SpanKind.CLIENT, attributes: attributesOf(name) };
  return (call) => {
    const startMs = performance.now();
    const span = tracer.startSpan(name, options, context.active());
    const own = span.spanContext();
    const isTraced = isSpanContextValid(own) && call.metadata.traceparent === undefined;
    const metadata = isTraced ? { ...call.metadata, traceparent: formatTraceparent(own) } : call.metadata;
    return {
      call: isTraced ? { ...call, metadata } : call,
      finish: (failure) => {
        record(startMs, failure === undefined ? 0 : fail(span, failure));
        span.end();
      },
    };
  };
}
