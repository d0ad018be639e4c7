import {
  type Attributes,
  metrics,
  type Span,
  type SpanContext,
  type SpanKind,
  type SpanOptions,
  trace,
} from '@opentelemetry/api';
import { afterAll, expect, it } from 'vitest';
import { createClient, memoryTransport } from '../src/index.ts';
import { formatTraceparent, parseTraceparent } from '../src/trace.ts';
import { Echo, echo } from './echo.ts';

interface Ended {
  readonly name: string;
  readonly kind: SpanKind | undefined;
  readonly own: SpanContext;
  readonly parent: SpanContext | undefined;
  readonly attributes: Attributes;
}

const spans: Ended[] = [];
const durations: { name: string; attributes: Attributes | undefined }[] = [];
let made = 0;

/** A tracer that keeps what was ended. */
function startSpan(
  name: string,
  options: SpanOptions = {},
  context?: Parameters<typeof trace.getSpan>[0],
): Span {
  const parent = context ? trace.getSpanContext(context) : undefined;
  const spanId = (++made).toString(16).padStart(16, '0');
  const own = { traceId: parent?.traceId ?? '1'.repeat(32), spanId, traceFlags: 1 };
  const attributes: Attributes = { ...options.attributes };
  const span: Span = Object.assign(trace.wrapSpanContext(own), {
    setAttribute: (key: string, value: string) => {
      attributes[key] = value;
      return span;
    },
    end: () => spans.push({ name, kind: options.kind, own, parent, attributes }),
  });
  return span;
}

trace.setGlobalTracerProvider({
  getTracer: () => ({ startSpan, startActiveSpan: () => undefined as never }),
});
const noop = metrics.getMeter('none');
metrics.setGlobalMeterProvider({
  getMeter: () => {
    const meter = Object.create(noop) as typeof noop;
    meter.createHistogram = (name) => ({
      record: (value, attributes) => {
        if (value >= 0) durations.push({ name, attributes });
      },
    });
    return meter;
  },
});

afterAll(() => {
  trace.disable();
  metrics.disable();
});

it('one trace goes through client and server, and both measure', async () => {
  const { seen, implementation } = echo();
  const client = createClient(Echo, memoryTransport([implementation]), { deadlineMs: 1000 });
  await client.getText({});
  await client.getText({ text: 'fail:field' }).catch(() => undefined);
  const [server, caller, failed] = spans;
  expect(server).toMatchObject({
    name: 'millrace.rpctest.v1.Echo/GetText',
    kind: 1,
    parent: { spanId: caller?.own.spanId },
  });
  expect(caller).toMatchObject({ kind: 2, own: { traceId: server?.own.traceId } });
  expect(failed?.attributes).toMatchObject({ 'rpc.system.name': 'grpc', 'rpc.response.status_code': 3 });
  expect(seen.context?.traceparent).toBe(formatTraceparent(failed?.own as SpanContext));
  expect(durations.map((d) => [d.name, d.attributes?.['rpc.response.status_code']])).toEqual([
    ['rpc.server.call.duration', 0],
    ['rpc.client.call.duration', 0],
    ['rpc.server.call.duration', 3],
    ['rpc.client.call.duration', 3],
  ]);
});

it('reads and writes trace contexts', () => {
  const text = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  expect(formatTraceparent(parseTraceparent(text) as SpanContext)).toBe(text);
  for (const bad of [
    undefined,
    '',
    'x',
    text.toUpperCase(),
    text.replace('0af', 'zzz'),
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  ])
    expect(parseTraceparent(bad)).toBeUndefined();
});
