import { context, metrics, propagation, trace } from '@opentelemetry/api';

export interface TelemetryOptions {
  /** The `service.name` of every span and metric. */
  readonly service: string;
  /** Base URL of an OTLP/HTTP collector; without one nothing is set up and nothing is loaded. */
  readonly endpoint?: string | undefined;
  /** The share of traces that are kept, 0 to 1. @default 1 */
  readonly sampleRatio?: number;
}

/** Flushes what is left and stops exporting. */
export type StopTelemetry = () => Promise<void>;

/**
 * Sets up OpenTelemetry for a process: spans and metrics to one OTLP collector, W3C trace context, async context.
 * Everything else in the code depends on `@opentelemetry/api` alone, which does nothing until this has run. The SDK is
 * loaded only when there is an endpoint, so that a suite on a laptop does not pay for it at start.
 */
export async function setUpTelemetry(options: TelemetryOptions): Promise<StopTelemetry> {
  if (!options.endpoint) return async () => {};
  const [sdkTrace, sdkMetrics, resources, traceOtlp, metricsOtlp, hooks] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/sdk-metrics'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/exporter-metrics-otlp-proto'),
    import('@opentelemetry/context-async-hooks'),
  ]);
  const { W3CTraceContextPropagator } = await import('@opentelemetry/core');
  const base = options.endpoint.replace(/\/+$/, '');
  const resource = resources.resourceFromAttributes({
    'service.name': options.service,
    'service.namespace': 'millrace',
  });
  const tracing = new sdkTrace.TracerProvider({
    resource,
    sampler: new sdkTrace.ParentBasedSampler({
      root: new sdkTrace.TraceIdRatioBasedSampler(options.sampleRatio ?? 1),
    }),
    spanProcessors: [
      new sdkTrace.BatchSpanProcessor({
        exporter: new traceOtlp.OTLPTraceExporter({ url: `${base}/v1/traces` }),
      }),
    ],
  });
  const metering = new sdkMetrics.MeterProvider({
    resource,
    readers: [
      new sdkMetrics.PeriodicExportingMetricReader({
        exporter: new metricsOtlp.OTLPMetricExporter({ url: `${base}/v1/metrics` }),
      }),
    ],
  });
  context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(tracing);
  metrics.setGlobalMeterProvider(metering);
  return async () => {
    await Promise.allSettled([tracing.shutdown(), metering.shutdown()]);
  };
}
