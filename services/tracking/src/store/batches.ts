import { type DocumentStore, newId, type Page, type Versioned } from '@millrace/documents';
import { CodedError, isCoded } from '@millrace/errors';
import { type BatchSummary, summarize } from '../domain/batch-summary.ts';
import type { PointColumns } from '../domain/columns.ts';
import { type Annotations, admitMetrics, annotateRun } from '../domain/run.ts';
import { metricsLogged } from '../drafts.ts';
import { type Batch, batchesSpec } from './collections.ts';
import type { Runs } from './runs.ts';

/** One LogBatch call. */
export interface BatchToLog extends Annotations {
  readonly project: string;
  readonly run: string;
  readonly requestId: string;
  /** SHA-256 of the request. */
  readonly bodyDigest: string;
  readonly points: PointColumns;
}

export type Batches = ReturnType<typeof createBatches>;

/**
 * What runs logged. A batch and the run that shows its latest points are two documents, so the order of writes matters:
 *
 * 1. params and tags go to the run, guarded by the request id, or are refused before anything is written;
 * 2. the batch is inserted together with its event, under an id made of run and request id: points count once;
 * 3. the run takes note of the latest points, which is idempotent and independent of order.
 *
 * A crash in between is healed by the caller's retry, which begins where the first try stopped, and step 3 also by the
 * sweep in jobs.ts, which follows the event log. Once step 2 is done the call has succeeded.
 */
export function createBatches(store: DocumentStore, runs: Runs, now: () => number) {
  const batches = store.collection(batchesSpec);

  async function note(
    { project, run }: Pick<Batch, 'project' | 'run'>,
    { latest }: BatchSummary,
  ): Promise<void> {
    if (latest.length > 0) await runs.noteLatest(project, run, latest);
  }

  return {
    /** Logs a batch exactly once; true when it was logged before. */
    async log(wanted: BatchToLog): Promise<boolean> {
      const { project, run, requestId, points } = wanted;
      const { doc } = await runs.get(project, run);
      const id = `${project}/${run}/${requestId ? `r:${requestId}` : `n:${newId()}`}`;
      const known = requestId ? await batches.get(id) : undefined;
      if (known) {
        refuseOther(known.doc, wanted);
        await note(known.doc, summarize(known.doc)).catch(leaveToSweep);
        return true;
      }
      admitMetrics(doc, points.keys);
      const guard = requestId ? { requestId: `LogBatch:${requestId}` } : {};
      if (annotates(wanted)) await runs.change(project, run, (before) => annotateRun(before, wanted), guard);
      if (points.count === 0 && !requestId) return false;

      const atMs = now();
      const batch = { ...points, project, run, atMs, bodyDigest: wanted.bodyDigest };
      const summary = summarize(points);
      const emit = points.count > 0 ? [metricsLogged(doc, id, points.count, summary, atMs)] : [];
      // The id tells a first try from the others, so the batch need not remember its request.
      const stored = await batches.upsert(id, (found) => (found ? undefined : { doc: batch, emit }));
      const kept = stored?.doc ?? batch;
      refuseOther(kept, wanted);
      // Another try of the same request may have been first, with its own times for points without one.
      await note(kept, kept === batch ? summary : summarize(kept)).catch(leaveToSweep);
      return false;
    },

    get: (id: string): Promise<Versioned<Batch> | undefined> => batches.get(id),

    /** Shows a batch's latest points on its run, if they are not yet. */
    async settle(id: string): Promise<void> {
      const found = await batches.get(id);
      if (found) await note(found.doc, summarize(found.doc));
    },

    /** The batches of a run in the order in which they were logged. */
    page: (project: string, run: string, limit: number, after?: string): Promise<Page<Batch>> =>
      batches.find({
        where: { run: `${project}/${run}` },
        orderBy: [{ field: 'atMs' }],
        limit,
        ...(after ? { after } : {}),
      }),
  };
}

/** A caller who was told that a recorded batch failed would log it again: what the store cannot note now the sweep does. */
function leaveToSweep(error: unknown): void {
  if (!isCoded(error, 'resource_exhausted') && !isCoded(error, 'unavailable')) throw error;
}

function annotates({ params, tags, removedTags }: Annotations): boolean {
  return params.length + tags.length + removedTags.length > 0;
}

function refuseOther(known: Batch, { bodyDigest, requestId }: BatchToLog): void {
  if (known.bodyDigest === bodyDigest) return;
  const message = `request_id ${requestId} was used before with another body; use a new one for another request`;
  throw new CodedError('already_exists', 'REQUEST_ID_REUSED', message, { details: { requestId } });
}
