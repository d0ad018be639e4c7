import type { DescMethod } from '@bufbuild/protobuf';
import { from, kinds } from '@millrace/errors';
import {
  type Attributes,
  context,
  type Histogram,
  isSpanContextValid,
  metrics,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { ServerCall } from '../context.ts';
import type { Interceptor, Next } from '../router.ts';
import { formatTraceparent, parseTraceparent } from '../trace.ts';

const scope = '@millrace/rpc';

/**
 * One span and one duration for each call a server answers. The caller's trace goes on, and the call's `traceparent`
 * becomes that of the span. Names follow OpenTelemetry's conventions for RPC.
 */
export function serverTelemetry(method: DescMethod): Interceptor {
  const name = `${method.parent.typeName}/${method.name}`;
  const tracer = trace.getTracer(scope);
  const record = durations('rpc.server.call.duration', name);
  const options = { kind: SpanKind.SERVER, attributes: attributesOf(name) };
  return (call, next) => {
    const parent = parseTraceparent(call.traceparent);
    if (!parent) call.traceparent = undefined;
    const base = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
    const span = tracer.startSpan(name, options, base);
    const own = span.spanContext();
    if (!isSpanContextValid(own)) return observed(call, next, span, record);
    call.traceparent = formatTraceparent(own);
    return context.with(trace.setSpan(base, span), observed, undefined, call, next, span, record);
  };
}

async function observed(call: ServerCall, next: Next, span: Span, record: Recorder): Promise<void> {
  const startMs = performance.now();
  let status = 0;
  try {
    await next(call);
  } catch (error) {
    status = fail(span, error);
    throw error;
  } finally {
    record(startMs, status);
    span.end();
  }
}

/** Marks a span as failed and tells the gRPC status. */
export function fail(span: Span, caught: unknown): number {
  const error = from(caught);
  const status = kinds[error.kind].grpc;
  span.setAttribute('rpc.response.status_code', status);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.code });
  return status;
}

/** Records one call: when it started (performance.now()) and its gRPC status. */
export type Recorder = (startMs: number, status: number) => void;

/** Records durations of calls, in seconds, under one name. */
export function durations(instrument: string, method: string): Recorder {
  let histogram: Histogram | undefined;
  const byStatus = new Map<number, Attributes>();
  return (startMs, status) => {
    histogram ??= metrics.getMeter(scope).createHistogram(instrument, {
      unit: 's',
      description: 'How long calls take.',
      advice: {
        explicitBucketBoundaries: [
          0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
        ],
      },
    });
    let attributes = byStatus.get(status);
    if (!attributes) {
      attributes = { ...attributesOf(method), 'rpc.response.status_code': status };
      byStatus.set(status, attributes);
    }
    histogram.record((performance.now() - startMs) / 1000, attributes);
  };
}

/** The attributes of every span and measurement of a method. */
export function attributesOf(method: string): Attributes {
  return { 'rpc.system.name': 'grpc', 'rpc.method': method };
}
