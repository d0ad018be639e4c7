import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Latencies, latenciesOf } from './latencies.ts';

export interface OpenLoopOptions {
  /** Calls that begin each second, whether or not those before were answered. */
  readonly perSecond: number;
  readonly seconds: number;
  /** One call; gets its number. */
  readonly call: (n: number) => Promise<unknown>;
}

/**
 * Calls begin when they are due, at even distances, and each is measured from the moment it was due: when the service, or
 * this loop, stalls, the calls that had to wait show it. Nothing is omitted by coordination.
 * Source: Gil Tene, "How NOT to Measure Latency" (2015); wrk2.
 */
export async function openLoop(options: OpenLoopOptions): Promise<Latencies & { readonly failed: number }> {
  const { perSecond, seconds, call } = options;
  const histogram = createHistogram();
  const running: Promise<void>[] = [];
  const begun = performance.now();
  let failed = 0;
  for (let n = 0; n < perSecond * seconds; n++) {
    const due = begun + (n * 1000) / perSecond;
    // Timers have milliseconds: sleep while more than one is left, then give way to the event loop only.
    for (let left = due - performance.now(); left > 0; left = due - performance.now())
      await (left > 2 ? sleep(left - 1) : new Promise(setImmediate));
    running.push(
      call(n).then(
        () => void histogram.record(Math.max(1, Math.round((performance.now() - due) * 1e6))),
        () => void failed++,
      ),
    );
  }
  await Promise.all(running);
  return { ...latenciesOf(histogram), failed };
}
