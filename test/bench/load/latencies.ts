import type { RecordableHistogram } from 'node:perf_hooks';

/** Latencies in milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Reads a histogram of nanoseconds (HDR, three significant digits). */
export function latenciesOf(histogram: RecordableHistogram): Latencies {
  const ms = (percentile: number) => histogram.percentile(percentile) / 1e6;
  return { p50: ms(50), p95: ms(95), p99: ms(99), max: histogram.max / 1e6 };
}
