import {
  type ChangeOptions,
  createRequestLedger,
  type DocumentStore,
  type Page,
  type RequestLedger,
  type Versioned,
  type WriteOptions,
} from '@millrace/documents';
import { wrongState } from '@millrace/errors';
import { decideRun, type RunCommand } from '../domain/decide-run.ts';
import { decideTask, type TaskCommand } from '../domain/decide-task.ts';
import { decideApply, type Pipeline } from '../domain/pipeline.ts';
import type { Run } from '../domain/run.ts';
import type { Task } from '../domain/task.ts';
import {
  cacheSpecs,
  collections,
  pipelineSpecs,
  runSpecs,
  scheduleSpecs,
  taskSpecs,
  triggerSpecs,
  versionSpecs,
} from './collections.ts';
import { pipelineApplied, runCreated, runEvents, taskEvents } from './events.ts';

export { collections };

/** A command met a state that does not allow it; the machine's own words. */
export const refusedCode = 'REFUSED';

/** Another call was faster: what it did is looked at anew. */
const overtaken = new Error('the pipeline changed meanwhile');

/** The orchestrator's documents, in its words. */
export type Store = ReturnType<typeof createStore>;

export function createStore(documents: DocumentStore, now: () => number) {
  const pipelines = documents.collection(pipelineSpecs);
  const versions = documents.collection(versionSpecs);
  const runs = documents.collection(runSpecs);
  const tasks = documents.collection(taskSpecs);
  const ledger: RequestLedger = createRequestLedger(documents, now);

  async function getVersion(project: string, name: string, version: number): Promise<Pipeline | undefined> {
    const newest = await pipelines.get(`${project}/${name}`);
    if (!newest || version === 0 || newest.doc.version === version) return newest?.doc;
    return (await versions.get(`${project}/${name}/${version}`))?.doc;
  }

  return {
    documents,
    ledger,
    pipelines,
    versions,
    runs,
    tasks,
    cache: documents.collection(cacheSpecs),
    schedules: documents.collection(scheduleSpecs),
    triggers: documents.collection(triggerSpecs),
    /** A version of a pipeline; 0 means the newest. */
    getVersion,

    /**
     * Applies a specification; the pipeline as it is when the request was done before. The version it follows is kept
     * first, so that no version is ever without its document.
     */
    async applyPipeline(
      wanted: Parameters<typeof decideApply>[1],
      { expect, ...mark }: Pick<ChangeOptions, 'expect' | 'requestId'> = {},
    ): Promise<{ pipeline: Versioned<Pipeline>; changed: boolean }> {
      const id = `${wanted.project}/${wanted.name}`;
      for (;;) {
        const present = await pipelines.get(id);
        const isExpected = expect === undefined || expect === present?.version;
        if (present && isExpected && decideApply(present.doc, wanted, now())?.newVersion)
          await versions.upsert(`${id}/${present.doc.version}`, (doc) =>
            doc ? undefined : { doc: present.doc },
          );
        let changed = false;
        const decide = (doc: Pipeline | undefined) => {
          // Thrown: a change of nothing would be remembered as all that this request does.
          if (doc?.version !== present?.doc.version) throw overtaken;
          const decision = decideApply(doc, wanted, now());
          changed = decision?.newVersion === true;
          const emit = decision && changed ? [pipelineApplied(decision.pipeline, now())] : [];
          return decision && { doc: decision.pipeline, emit };
        };
        try {
          const pipeline = await (expect === undefined
            ? pipelines.upsert(id, decide, mark)
            : pipelines.change(id, decide, { expect, ...mark }));
          return { pipeline: pipeline!, changed };
        } catch (error) {
          if (error !== overtaken) throw error;
        }
      }
    },

    /** Creates a run; one of that id that exists already is the same run, tried again. */
    async createRun(run: Run): Promise<{ run: Versioned<Run>; created: boolean }> {
      const id = `${run.project}/${run.id}`;
      let created = false;
      const made = await runs.upsert(id, (doc) => {
        created = doc === undefined;
        return doc ? undefined : { doc: run, emit: [runCreated(run, now())] };
      });
      return { run: made!, created };
    },

    /** Lets the state machine of a run decide; undefined when it refuses. */
    async changeRun(
      project: string,
      id: string,
      command: RunCommand,
      options?: WriteOptions,
    ): Promise<Versioned<Run> | undefined> {
      let refused = false;
      const changed = await runs.change(
        `${project}/${id}`,
        (doc) => {
          const decision = decideRun(doc, command, now());
          refused = 'refused' in decision;
          return 'refused' in decision
            ? undefined
            : { doc: decision.run, emit: runEvents(decision.run, decision.facts, now()) };
        },
        options,
      );
      return refused ? undefined : changed;
    },

    /** Lets the state machine of a task decide, on the document as it is; throws REFUSED when it refuses. */
    async changeTask(run: Run, task: Task, command: TaskCommand): Promise<Task> {
      const decide = (doc: Task) => {
        const decision = decideTask(doc, command, now());
        if ('refused' in decision)
          throw wrongState(`${doc.run}/${doc.key}: ${decision.refused}`, refusedCode);
        return { doc: decision.task, emit: taskEvents(run, decision.task, decision.facts, now()) };
      };
      // An item's task has no document before its first change.
      const changed = await tasks.upsert(taskId(task), (doc) => decide(doc ?? task));
      return changed!.doc;
    },

    async createTask(task: Task): Promise<Task> {
      const made = await tasks.upsert(taskId(task), (doc) => (doc ? undefined : { doc: task }));
      return made!.doc;
    },

    /** All tasks of a run. */
    async allTasks(project: string, run: string): Promise<Task[]> {
      const found: Task[] = [];
      let after: string | undefined;
      do {
        const page: Page<Task> = await tasks.find({
          where: { run: `${project}/${run}` },
          orderBy: [{ field: 'step' }, { field: 'index' }],
          limit: 1000,
          ...(after === undefined ? {} : { after }),
        });
        found.push(...page.items.map((item) => item.doc));
        after = page.next;
      } while (after !== undefined);
      return found;
    },

    /** Runs that are not terminal, oldest first. */
    async openRuns(): Promise<Run[]> {
      const found: Run[] = [];
      let after: string | undefined;
      do {
        const page: Page<Run> = await runs.find({
          where: { open: true },
          orderBy: [{ field: 'createdAtMs' }],
          limit: 1000,
          ...(after === undefined ? {} : { after }),
        });
        found.push(...page.items.map((item) => item.doc));
        after = page.next;
      } while (after !== undefined);
      return found;
    },

    /** The runs of a schedule or trigger that are not terminal. */
    async openRunsOf(origin: string): Promise<Run[]> {
      const page = await runs.find({ where: { origin, open: true }, limit: 1000 });
      return page.items.map((item) => item.doc);
    },
  };
}

export const taskId = (task: Pick<Task, 'project' | 'run' | 'key'>): string =>
  `${task.project}/${task.run}/${task.key}`;
