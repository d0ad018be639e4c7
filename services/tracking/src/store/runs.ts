import type { DocumentStore, EventDraft, Versioned } from '@millrace/documents';
import { notFound } from '@millrace/errors';
import type { Point } from '../domain/metric.ts';
import { deleteRun, noteLatest, type Run, type RunChange, restoreRun } from '../domain/run.ts';
import { runDrafts } from '../drafts.ts';
import { runName } from '../messages.ts';
import { runsSpec } from './collections.ts';
import type { WriteGuard } from './experiments.ts';
import type { RunIndex } from './run-index.ts';
import { pack, unpack, unpackRun } from './stored-run.ts';

export type Runs = ReturnType<typeof createRuns>;

/** The runs of all projects. `index` is told of every write. */
export function createRuns(store: DocumentStore, index: RunIndex, now: () => number) {
  const runs = store.collection(runsSpec);
  const idOf = (project: string, run: string) => `${project}/${run}`;

  async function get(project: string, run: string): Promise<Versioned<Run>> {
    const found = await runs.get(idOf(project, run));
    if (found) return unpack(found);
    throw notFound(runName(project, run));
  }

  /** Changes a run that is there; `decide` gives the run after the change and the event of it. */
  async function write(
    project: string,
    run: string,
    decide: (run: Run) => { readonly run: Run; readonly emit: EventDraft } | undefined,
    guard: WriteGuard,
  ): Promise<Versioned<Run>> {
    await get(project, run);
    const changed = await runs.change(
      idOf(project, run),
      (stored) => {
        const next = decide(unpackRun(stored));
        return next && { doc: pack(next.run), emit: [next.emit] };
      },
      guard,
    );
    index.note(changed);
    return unpack(changed);
  }

  return {
    get,

    async insert(run: Run, guard: WriteGuard): Promise<Versioned<Run>> {
      const emit = [runDrafts.created(run, now())];
      const inserted = await runs.insert(idOf(run.project, run.id), pack(run), { ...guard, emit });
      index.note(inserted);
      return unpack(inserted);
    },

    /** Changes a run as the domain decides; the event tells of it. */
    change: (project: string, run: string, decide: (run: Run) => RunChange | undefined, guard: WriteGuard) =>
      write(
        project,
        run,
        (before) => {
          const change = decide(before);
          return change && { run: change.run, emit: runDrafts.changed(change, now()) };
        },
        guard,
      ),

    delete: (project: string, run: string, guard: WriteGuard) =>
      write(
        project,
        run,
        (before) => {
          const deleted = deleteRun(before, now());
          return deleted && { run: deleted, emit: runDrafts.deleted(deleted, now()) };
        },
        guard,
      ),

    restore: (project: string, run: string, guard: WriteGuard) =>
      write(
        project,
        run,
        (before) => {
          const restored = restoreRun(before);
          return restored && { run: restored, emit: runDrafts.restored(restored, now()) };
        },
        guard,
      ),

    /** The runs of a pipeline task: those whose tag `millrace.task` has its name. */
    async ofTask(project: string, task: string): Promise<readonly Versioned<Run>[]> {
      const found: Versioned<Run>[] = [];
      let after: string | undefined;
      do {
        const page = await runs.find({ where: { project, task }, ...(after ? { after } : {}) });
        found.push(...page.items.map(unpack));
        after = page.next;
      } while (after);
      return found;
    },

    /** Takes note of logged points; no event, as the batch's own event told of them. Idempotent. */
    async noteLatest(project: string, run: string, points: readonly Point[]): Promise<void> {
      const after = await runs.change(idOf(project, run), (stored) => {
        const noted = noteLatest(unpackRun(stored), points);
        return noted && { doc: pack(noted) };
      });
      index.note(after);
    },
  };
}
