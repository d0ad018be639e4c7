import { createHistogram } from 'node:perf_hooks';
import { type Latencies, latenciesOf } from './latencies.ts';

export interface ClosedLoopOptions {
  /** How many calls are under way at any time. */
  readonly inFlight: number;
  readonly seconds: number;
  /** One call; gets its number. */
  readonly call: (n: number) => Promise<unknown>;
}

/**
 * As many calls as can be had with so many in flight: for rates. Its latencies say nothing of a service under load that
 * does not wait for answers; {@link openLoop} measures these.
 */
export async function closedLoop(
  options: ClosedLoopOptions,
): Promise<Latencies & { readonly perSecond: number; readonly calls: number }> {
  const { inFlight, seconds, call } = options;
  const histogram = createHistogram();
  const begun = performance.now();
  const end = begun + seconds * 1000;
  let calls = 0;
  const client = async () => {
    for (let now = performance.now(); now < end; ) {
      await call(calls++);
      const done = performance.now();
      histogram.record(Math.max(1, Math.round((done - now) * 1e6)));
      now = done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, client));
  const perSecond = calls / ((performance.now() - begun) / 1000);
  return { ...latenciesOf(histogram), perSecond, calls };
}
