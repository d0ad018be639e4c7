import { createHash } from 'node:crypto';
import type { TrackingService } from '@millrace/contracts/tracking';
import type { Handlers } from '@millrace/rpc';
import { z } from 'zod';
import { toColumns } from '../domain/columns.ts';
import { toMetric } from '../messages.ts';
import { historyPage, historySeries } from '../store/history.ts';
import type { TrackingStore } from '../store/open.ts';
import { createPageTokens, pageSizeOf } from './page.ts';
import { parseRun } from './request.ts';

type Methods = 'logBatch' | 'getMetricHistory' | 'listMetricKeys';

const historyTokens = createPageTokens(
  'history',
  z.object({ after: z.string(), skip: z.number().int().min(0).max(1e9) }),
);
const keyTokens = createPageTokens('metric-keys', z.string());

export function metricHandlers(
  { runs, batches }: TrackingStore,
  now: () => number,
): Pick<Handlers<typeof TrackingService>, Methods> {
  return {
    // Not by the request ledger: the batch itself remembers its request, for as long as its points are kept.
    async logBatch(request, { request: body }) {
      const { project, id } = parseRun(request.name, 'name');
      const { requestId, params, tags, removedTags } = request;
      const bodyDigest = createHash('sha256').update(body!).digest('hex');
      const points = toColumns(request.metrics, now());
      const batch = { project, run: id, requestId, bodyDigest, points, params, tags, removedTags };
      return { duplicate: await batches.log(batch) };
    },

    async getMetricHistory(request, { signal }) {
      const { project, id } = parseRun(request.name, 'name');
      await runs.get(project, id);
      const { key, maxPoints } = request;
      if (maxPoints > 0) {
        const { points, total } = await historySeries(batches, { project, id }, key, maxPoints, signal);
        return { points: points.map(toMetric), totalPoints: BigInt(total) };
      }
      const scope = [request.name, key];
      const limit = pageSizeOf(request.pageSize, 1000, 10_000);
      const place = historyTokens.parse(scope, request.pageToken);
      const { points, next } = await historyPage(batches, { project, id }, key, limit, place);
      return { points: points.map(toMetric), nextPageToken: next ? historyTokens.format(scope, next) : '' };
    },

    async listMetricKeys(request) {
      const { project, id } = parseRun(request.parent, 'parent');
      const { doc } = await runs.get(project, id);
      const scope = [request.parent, request.prefix];
      const after = keyTokens.parse(scope, request.pageToken);
      const rest = doc.metrics.filter(
        ({ key }) => key.startsWith(request.prefix) && (after === undefined || key > after),
      );
      const page = rest.slice(0, pageSizeOf(request.pageSize));
      const last = page.length < rest.length ? page.at(-1) : undefined;
      return {
        metrics: page.map((point) => ({ key: point.key, latest: toMetric(point) })),
        nextPageToken: last ? keyTokens.format(scope, last.key) : '',
      };
    },
  };
}
