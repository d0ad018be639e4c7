import { randomUUID } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import type { Collection, EventDraft } from '@millrace/documents';
import { from, isCoded } from '@millrace/errors';
import type { Logger } from '@millrace/telemetry';
import { begin, finish, giveBack, type Job, type JobFailure } from '../domain/job.ts';
import type { Store } from '../store/store.ts';

/** One kind of durable job. */
export interface JobKind<T extends Job> {
  readonly collection: Collection<T, 'state' | 'createdMs'>;
  /** Does the work; may be run again from the start after a crash. Returns what the document becomes. */
  run(id: string, job: T, signal: AbortSignal): Promise<Partial<T>>;
  /** The events of a beginning and of an end. */
  began(id: string, job: T, version: number): readonly EventDraft[];
  ended(id: string, job: T, version: number): readonly EventDraft[];
}

export interface RunnerOptions {
  readonly store: Store;
  readonly log: Logger;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  /** How many attempts may end with their process before a job is given up. */
  readonly maxCrashes: number;
  now(): number;
}

/** Race point: a job is said to run, and nothing of it is done. */
const begun = channel('millrace:features.job-begun');

/**
 * Runs the jobs of a kind that wait, one at a time. A job belongs to the process that holds its lease; when that
 * process dies, the lease lapses and another takes the job from the start, which is why jobs are written to change
 * nothing that is done already.
 */
export function createRunner<T extends Job>(kind: JobKind<T>, options: RunnerOptions) {
  const { store, log, leaseMs, timeoutMs, maxCrashes, now } = options;
  const owner = randomUUID();
  const busy = new Set<string>();

  async function runOne(id: string, signal: AbortSignal): Promise<void> {
    const lease = `job:${id}`;
    if (busy.has(id) || !(await store.documents.leases.acquire(lease, owner, leaseMs))) return;
    busy.add(id);
    const lost = new AbortController();
    const keep = setInterval(() => {
      store.documents.leases.acquire(lease, owner, leaseMs).then(
        (held) => held ?? lost.abort(new Error('the lease of the job went to another process')),
        (err: unknown) => log.warn({ err, job: id }, 'the lease of a job could not be extended'),
      );
    }, leaseMs / 3);
    try {
      await attempt(id, signal, lost.signal);
    } finally {
      clearInterval(keep);
      busy.delete(id);
      await store.documents.leases.release(lease, owner);
    }
  }

  async function attempt(id: string, stopping: AbortSignal, lost: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([stopping, lost, AbortSignal.timeout(timeoutMs)]);
    const started = await kind.collection.change(id, (job, version) => {
      const doc = begin(job, now(), maxCrashes);
      if (!doc) return undefined;
      const tell = doc.state === 'failed' ? kind.ended : kind.began;
      return { doc, emit: tell(id, doc, version + 1) };
    });
    begun.publish(id);
    if (started.doc.state !== 'running') return;
    let result: Partial<T> = {};
    let failure: JobFailure | null = null;
    try {
      result = await kind.run(id, started.doc, signal);
    } catch (error) {
      // A stop or a lost lease is not the job's failure: it is taken up again.
      if (stopping.aborted && !lost.aborted) {
        await kind.collection.change(id, (job) => {
          const doc = job.attempt === started.doc.attempt ? giveBack(job) : undefined;
          return doc && { doc };
        });
      }
      if (stopping.aborted || lost.aborted) return;
      failure = describe(error, signal);
      log.warn({ err: error, job: id, code: failure.code }, 'a job failed');
    }
    const end = (found: Partial<T>, error: JobFailure | null) =>
      kind.collection.change(id, (job, version) => {
        const doc = finish({ ...job, ...found }, now(), error);
        return doc && { doc, emit: kind.ended(id, doc, version + 1) };
      });
    await end(result, failure).catch((error: unknown) => {
      // A result that cannot be stored never can: left running, the job would be done again for ever, before all others.
      if (!isCoded(error, 'TOO_LARGE') && !isCoded(error, 'EVENT_TOO_LARGE')) throw error;
      log.warn({ err: error, job: id }, 'the result of a job is too large to be stored');
      return end({}, describe(error, signal));
    });
  }

  return {
    /** Runs the jobs that can be had now, oldest first. */
    async runWaiting(signal: AbortSignal): Promise<void> {
      for (const state of ['running', 'pending'] as const) {
        const { items } = await kind.collection.find({
          where: { state },
          orderBy: [{ field: 'createdMs' }],
          limit: 20,
        });
        for (const { id } of items) {
          if (signal.aborted) return;
          await runOne(id, signal);
        }
      }
    },
  };
}

function describe(error: unknown, signal: AbortSignal): JobFailure {
  if (signal.aborted) return { code: 'TIMED_OUT', message: 'the job took longer than it may' };
  const coded = from(error);
  if (coded.code !== 'INTERNAL') return { code: coded.code, message: coded.message };
  const text = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
  if (/^Out of Memory/i.test(text))
    return { code: 'OUT_OF_MEMORY', message: 'the job needs more memory than it may have' };
  if (/^(Conversion|Out of Range|Invalid Input) Error/i.test(text)) {
    return { code: 'BAD_DATA', message: text.slice(0, 300) };
  }
  if (
    /^(IO|Invalid|Binder|Catalog|Parser|Permission|Serialization|Not implemented|INTERNAL|FATAL) /i.test(text)
  ) {
    return { code: 'SOURCE_UNREADABLE', message: 'a source cannot be read as it was when it was applied' };
  }
  return { code: coded.code, message: coded.message };
}
