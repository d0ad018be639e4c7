import type { DocumentStore, EventDraft, Versioned } from '@millrace/documents';
import { CodedError, isCoded, notFound } from '@millrace/errors';
import {
  createExperiment,
  defaultExperiment,
  deleteExperiment,
  type Experiment,
  type ExperimentPatch,
  restoreExperiment,
  updateExperiment,
} from '../domain/experiment.ts';
import type { Pair } from '../domain/pair.ts';
import { experimentDrafts } from '../drafts.ts';
import { experimentName } from '../messages.ts';
import { countersSpec, experimentsSpec, type NameClaim, namesSpec } from './collections.ts';

/** What a write knows of its request. */
export interface WriteGuard {
  readonly requestId?: string;
  /** The id of the event it answers. */
  readonly cause?: string;
  /** The version the document must have. */
  readonly expect?: number;
}

export type View = 'ACTIVE' | 'DELETED' | 'ALL';

/** A claim that no experiment answers to is left alone this long: its maker may still be at work. */
const claimMs = 60_000;
const knownProjects = 10_000;

/** The experiments of all projects. A display name is claimed before it is used, in a document of its own. */
export function createExperiments(store: DocumentStore, now: () => number) {
  const experiments = store.collection(experimentsSpec);
  const claims = store.collection(namesSpec);
  const counters = store.collection(countersSpec);
  const ready = new Set<string>();

  const idOf = (project: string, number: number) => `${project}/${number}`;

  /** Writes down the default experiment before anything else of a project is written. */
  async function ensureDefault(project: string): Promise<void> {
    if (ready.has(project)) return;
    if (!(await experiments.get(idOf(project, 0)))) await writeDefault(project);
    if (ready.size >= knownProjects) ready.clear();
    ready.add(project);
  }

  async function writeDefault(project: string): Promise<void> {
    const doc = defaultExperiment(project);
    const claim = { number: 0, claimedAtMs: now() };
    await claims.upsert(`${project}/${doc.displayName}`, (held) => (held ? undefined : { doc: claim }));
    const emit = [experimentDrafts.created(doc, now())];
    await experiments.upsert(idOf(project, 0), (found) => (found ? undefined : { doc, emit }));
  }

  async function get(project: string, number: number): Promise<Versioned<Experiment>> {
    const found = await experiments.get(idOf(project, number));
    if (found) return found;
    if (number === 0) return unwritten(project);
    throw notFound(experimentName(project, number));
  }

  /** Claims a name for `mine`, or for the experiment that will be created; the number that holds it now. */
  async function claim(project: string, name: string, mine?: number): Promise<number> {
    const id = `${project}/${name}`;
    const held = await claims.get(id);
    if (!held) {
      const number = mine ?? (await allocate(project));
      const doc = { number, claimedAtMs: now() };
      const made = await claims.upsert(id, (other) => (other ? undefined : { doc }));
      return made?.doc.number ?? number;
    }
    const holder = await experiments.get(idOf(project, held.doc.number));
    // Unused because a creation did not finish: whoever comes next finishes it.
    if (!holder && mine === undefined) return held.doc.number;
    if (holder?.doc.displayName === name || held.doc.number === mine) return held.doc.number;
    return takeOver(project, id, held, mine);
  }

  async function takeOver(project: string, id: string, held: Versioned<NameClaim>, mine?: number) {
    const ageMs = now() - held.doc.claimedAtMs;
    if (ageMs < claimMs) {
      const message = 'another call is giving this display name to an experiment; retry';
      throw new CodedError('aborted', 'VERSION_CONFLICT', message, { retryAfterMs: claimMs - ageMs });
    }
    const doc = { number: mine ?? (await allocate(project)), claimedAtMs: now() };
    await claims.change(id, () => ({ doc }), { expect: held.version });
    return doc.number;
  }

  async function allocate(project: string): Promise<number> {
    const counter = await counters.upsert(project, (doc) => ({ doc: { next: (doc?.next ?? 1) + 1 } }));
    return (counter?.doc.next ?? 2) - 1;
  }

  async function change(
    project: string,
    number: number,
    decide: (doc: Experiment) => { readonly doc: Experiment; readonly emit: EventDraft[] } | undefined,
    guard: WriteGuard,
  ): Promise<Versioned<Experiment>> {
    if (number === 0) await ensureDefault(project);
    await get(project, number);
    return experiments.change(idOf(project, number), decide, guard);
  }

  return {
    get,
    ensureDefault,

    async create(project: string, name: string, tags: readonly Pair[], guard: WriteGuard) {
      await ensureDefault(project);
      const number = await claim(project, name);
      const doc = createExperiment(project, number, name, tags);
      const emit = [experimentDrafts.created(doc, now())];
      try {
        return await experiments.insert(idOf(project, number), doc, { ...guard, emit });
      } catch (error) {
        if (isCoded(error, 'ALREADY_EXISTS')) throw nameTaken(project, name, number);
        throw error;
      }
    },

    async update(project: string, number: number, patch: ExperimentPatch, guard: WriteGuard) {
      if (number === 0) await ensureDefault(project);
      const found = await get(project, number);
      const before = found.doc;
      const name = patch.displayName ?? before.displayName;
      // Refused before a name is claimed for it.
      updateExperiment(before, patch);
      // With an outdated etag nothing will change, unless it is this very request that changed it.
      const renames = name !== before.displayName;
      if (renames && (guard.expect === undefined || guard.expect === found.version)) {
        const holder = await claim(project, name, number);
        if (holder !== number) throw nameTaken(project, name, holder);
      }
      const after = await change(
        project,
        number,
        (doc) => {
          const changed = updateExperiment(doc, patch);
          return changed && { doc: changed.experiment, emit: [experimentDrafts.updated(changed, now())] };
        },
        guard,
      );
      if (renames && after.doc.displayName === name) await releaseName(project, before.displayName, number);
      return after;
    },

    delete: (project: string, number: number, guard: WriteGuard) =>
      change(
        project,
        number,
        (doc) => {
          const deleted = deleteExperiment(doc, now());
          return deleted && { doc: deleted, emit: [experimentDrafts.deleted(deleted, now())] };
        },
        guard,
      ),

    restore: (project: string, number: number, guard: WriteGuard) =>
      change(
        project,
        number,
        (doc) => {
          const restored = restoreExperiment(doc);
          return restored && { doc: restored, emit: [experimentDrafts.restored(restored, now())] };
        },
        guard,
      ),

    /** By number. A project in which nothing was written yet has the default experiment and no other. */
    async list(project: string, view: View, limit: number, after?: string) {
      if (!(await experiments.get(idOf(project, 0))))
        return { items: view === 'DELETED' ? [] : [unwritten(project)] };
      return experiments.find({
        where: view === 'ALL' ? { project } : { project, state: view },
        orderBy: [{ field: 'number' }],
        limit,
        ...(after ? { after } : {}),
      });
    },

    /** The experiment of exactly this name, if there is one. */
    async named(project: string, name: string): Promise<Versioned<Experiment> | undefined> {
      const held = await claims.get(`${project}/${name}`);
      const found = held ? await experiments.get(idOf(project, held.doc.number)) : undefined;
      if (found?.doc.displayName === name) return found;
      const fallback = unwritten(project);
      const isDefault = name === fallback.doc.displayName && !(await experiments.get(fallback.id));
      return isDefault ? fallback : undefined;
    },
  };

  async function releaseName(project: string, name: string, number: number): Promise<void> {
    const held = await claims.get(`${project}/${name}`);
    if (held?.doc.number !== number) return;
    await claims.remove(held.id, { expect: held.version });
  }
}

/** The default experiment of a project in which nothing was written yet. */
function unwritten(project: string): Versioned<Experiment> {
  return { id: `${project}/0`, doc: defaultExperiment(project), version: 0, createdAtMs: 0, updatedAtMs: 0 };
}

function nameTaken(project: string, name: string, number: number): CodedError {
  const resource = experimentName(project, number);
  const message = `${resource} has the display name ${JSON.stringify(name)} already, or had it when it was deleted; restore it or choose another`;
  return new CodedError('already_exists', 'ALREADY_EXISTS', message, { details: { resource } });
}
