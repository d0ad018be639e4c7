import { type SpanContext, TraceFlags } from '@opentelemetry/api';

const shape = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Reads a W3C `traceparent`; undefined when it is not one. Source: W3C Trace Context §3.2. */
export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  const found = text === undefined ? null : shape.exec(text);
  if (!found?.[1] || !found[2] || /^0+$/.test(found[1]) || /^0+$/.test(found[2])) return undefined;
  const traceFlags = Number.parseInt(found[3] ?? '0', 16) & TraceFlags.SAMPLED;
  return { traceId: found[1], spanId: found[2], traceFlags, isRemote: true };
}

/** Writes a W3C `traceparent`. */
export function formatTraceparent(span: SpanContext): string {
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}
