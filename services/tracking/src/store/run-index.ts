import { setImmediate } from 'node:timers/promises';
import type { DocumentStore, Versioned } from '@millrace/documents';
import { runsSpec } from './collections.ts';
import { IndexedRun } from './indexed-run.ts';
import type { StoredRun } from './stored-run.ts';

export type RunIndex = ReturnType<typeof createRunIndex>;

/** What the runs of one project are found by. */
interface IndexedProject {
  /** By run id. */
  readonly runs: Map<string, IndexedRun>;
  bytes: number;
  /** Settles when all runs are in it, or when it was given up. */
  ready: Promise<void>;
  /** Whether it is out of use: it does not fit, or others need its room. */
  isGivenUp: boolean;
}

/** What all projects may take together, in bytes as estimated: some hundred thousand runs of common size. */
const standardBytes = 128 * 1024 * 1024;
const runsAtOnce = 200;
/** Lists of keys that runs share; runs of a project have few different ones, as the same program logged them. */
const sharedLists = 1000;

/**
 * What sorted searches look at, of all runs of the projects that were searched last, in memory. A project is read at its
 * first search, and own writes are noted when the store has acknowledged them. When another process wrote, everything is
 * forgotten; where the store cannot tell, nothing is kept. Source: docs/adr/0014.
 */
export function createRunIndex(store: DocumentStore, maxBytes = standardBytes) {
  const stored = store.collection(runsSpec);
  /** The one used last is the last. */
  const projects = new Map<string, IndexedProject>();
  const lists = new Map<string, readonly string[]>();
  let foreignWrites: number | undefined;

  const share = (keys: readonly string[]) => {
    const text = JSON.stringify(keys);
    const known = lists.get(text);
    if (known) return known;
    if (lists.size >= sharedLists) lists.clear();
    lists.set(text, keys);
    return keys;
  };

  /** Newer versions replace older ones, in whatever order they come. */
  function put(project: IndexedProject, found: Versioned<StoredRun>): void {
    const before = project.runs.get(found.doc.id);
    if (before && before.version >= found.version) return;
    const run = new IndexedRun(found, share);
    project.runs.set(run.id, run);
    project.bytes += run.bytes - (before?.bytes ?? 0);
  }

  function giveUp(project: IndexedProject): void {
    project.isGivenUp = true;
    project.runs.clear();
    project.bytes = 0;
  }

  /** Makes room for a project: those used longest ago go, at last itself. */
  function makeRoom(wanted: IndexedProject): void {
    let bytes = 0;
    for (const project of projects.values()) bytes += project.bytes;
    for (const [name, project] of projects) {
      if (bytes <= maxBytes) return;
      if (project === wanted) continue;
      bytes -= project.bytes;
      giveUp(project);
      projects.delete(name);
    }
    // It stays among the projects, so that it is not read again for nothing.
    if (bytes > maxBytes) giveUp(wanted);
  }

  async function fill(name: string, project: IndexedProject): Promise<void> {
    let after: string | undefined;
    do {
      await setImmediate();
      const page = await stored.find({
        where: { project: name },
        orderBy: [{ field: 'run' }],
        limit: runsAtOnce,
        ...(after ? { after } : {}),
      });
      for (const found of page.items) put(project, found);
      makeRoom(project);
      after = page.next;
    } while (after && !project.isGivenUp);
  }

  function begin(name: string): IndexedProject {
    const project: IndexedProject = { runs: new Map(), bytes: 0, ready: Promise.resolve(), isGivenUp: false };
    projects.set(name, project);
    project.ready = fill(name, project).catch((error: unknown) => {
      if (projects.get(name) === project) projects.delete(name);
      throw error;
    });
    return project;
  }

  return {
    /** Takes note of a run as the store acknowledged it. */
    note(found: Versioned<StoredRun>): void {
      const project = projects.get(found.doc.project);
      if (!project || project.isGivenUp) return;
      put(project, found);
      makeRoom(project);
    },

    /** All runs of a project, by id, in no order; undefined where only the store itself can tell. */
    async runsOf(name: string): Promise<ReadonlyMap<string, IndexedRun> | undefined> {
      const foreign = await store.foreignWrites();
      if (foreign === undefined) return undefined;
      if (foreign !== foreignWrites) projects.clear();
      foreignWrites = foreign;
      const project = projects.get(name) ?? begin(name);
      // Used last: the last to go.
      projects.delete(name);
      projects.set(name, project);
      await project.ready;
      return project.isGivenUp ? undefined : project.runs;
    },
  };
}
