import { setImmediate } from 'node:timers/promises';
import { fromColumns } from '../domain/columns.ts';
import { downsample } from '../domain/downsample.ts';
import type { Point } from '../domain/metric.ts';
import { createSeries } from '../domain/series.ts';
import type { Batches } from './batches.ts';

/** Where a page of a metric's history begins: a page of batches, and how many of its points were given already. */
export interface HistoryPlace {
  readonly after: string;
  readonly skip: number;
}

const batchesAtOnce = 200;
/** How many batches one call looks at before it answers with what it found. */
const batchesPerPage = 10_000;
/** A down-sampled series is thinned on the way whenever so many points are in memory. */
const pointsInMemory = 2_000_000;

/** A metric's points in the order in which they were logged. */
export async function historyPage(
  batches: Batches,
  run: { readonly project: string; readonly id: string },
  key: string,
  limit: number,
  place: HistoryPlace = { after: '', skip: 0 },
): Promise<{ readonly points: readonly Point[]; readonly next?: HistoryPlace }> {
  const points: Point[] = [];
  let { after, skip } = place;
  for (let seen = 0; seen < batchesPerPage; seen += batchesAtOnce) {
    // A turn of the loop for other calls, as the embedded store answers at once.
    await setImmediate();
    const page = await batches.page(run.project, run.id, batchesAtOnce, after);
    const found = page.items.flatMap(({ doc }) => fromColumns(doc, new Set([key])));
    const room = limit - points.length;
    points.push(...found.slice(skip, skip + room));
    if (found.length > skip + room) return { points, next: { after, skip: skip + room } };
    if (!page.next) return { points };
    after = page.next;
    skip = 0;
    if (points.length === limit) break;
  }
  return { points, next: { after, skip } };
}

/** A metric's whole series in at most so many points, and how many it has. Memory stays bounded. */
export async function historySeries(
  batches: Batches,
  run: { readonly project: string; readonly id: string },
  key: string,
  maxPoints: number,
  signal: AbortSignal,
): Promise<{ readonly points: readonly Point[]; readonly total: number }> {
  const series = createSeries(key);
  let total = 0;
  let after: string | undefined = '';
  while (after !== undefined) {
    await setImmediate();
    signal.throwIfAborted();
    const page = await batches.page(run.project, run.id, batchesAtOnce, after);
    for (const { doc } of page.items) total += series.add(doc);
    if (series.length > pointsInMemory) {
      series.arrange();
      series.keep(downsample(series, pointsInMemory / 4));
    }
    after = page.next;
  }
  series.arrange();
  return { points: downsample(series, maxPoints).map(series.point), total };
}
