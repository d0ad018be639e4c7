import { createHash } from 'node:crypto';
import type { DocumentStore, Versioned } from '@millrace/documents';
import { notFound } from '@millrace/errors';
import { type Artifact, type ArtifactEntry, entryOf } from '../domain/artifact.ts';
import { artifactDeleted, artifactLogged } from '../drafts.ts';
import { runName } from '../messages.ts';
import { artifactsSpec } from './collections.ts';
import type { WriteGuard } from './experiments.ts';

/** Where a listing goes on: after a path, or at it. */
export interface ArtifactSeek {
  readonly path: string;
  readonly inclusive: boolean;
}

export interface ArtifactListing {
  readonly project: string;
  readonly run: string;
  /** Empty means the top. */
  readonly folder: string;
  /** All files below, and no folders. */
  readonly recursive: boolean;
  readonly limit: number;
  readonly from?: ArtifactSeek | undefined;
}

/** A line of a listing; files come with what is known of them. */
export type Listed =
  | { readonly kind: 'file'; readonly found: Versioned<Artifact> }
  | { readonly kind: 'folder'; readonly path: string };

/** What is known of the files of runs. Their bytes are blobs, which may be shared and are never changed. */
export function createArtifacts(store: DocumentStore, now: () => number) {
  const artifacts = store.collection(artifactsSpec);

  async function get(project: string, run: string, path: string): Promise<Versioned<Artifact>> {
    const found = await artifacts.get(idOf(project, run, path));
    if (found) return found;
    throw notFound(`artifact ${JSON.stringify(path)} of ${runName(project, run)}`);
  }

  /** Everything after one seek, a page at a time. */
  function after(listing: ArtifactListing, from: ArtifactSeek | undefined, limit: number) {
    const { project, run, folder } = listing;
    const lower = from
      ? { [from.inclusive ? 'gte' : 'gt']: from.path }
      : folder
        ? { gt: `${folder}/` }
        : undefined;
    // The character after `/` is `0`: everything below the folder is less.
    const upper = folder ? { lt: `${folder}0` } : undefined;
    const path = lower || upper ? { path: { ...lower, ...upper } } : {};
    return artifacts.find({
      where: { run: `${project}/${run}`, ...path },
      orderBy: [{ field: 'path' }],
      limit,
    });
  }

  return {
    get,

    /** Records that a path of a run has these bytes; the same again, or the same request, changes nothing. */
    async put(artifact: Artifact, guard: WriteGuard): Promise<Versioned<Artifact>> {
      const id = idOf(artifact.project, artifact.run, artifact.path);
      const found = await artifacts.upsert(
        id,
        (before) =>
          before?.digest === artifact.digest && before.mediaType === artifact.mediaType
            ? undefined
            : { doc: artifact, emit: [artifactLogged(artifact, now())] },
        guard,
      );
      return found ?? get(artifact.project, artifact.run, artifact.path);
    },

    /** Forgets a path of a run; `eventId` is the id of the event that tells of it. */
    async remove(project: string, run: string, path: string, eventId: string): Promise<void> {
      const { id, doc, version } = await get(project, run, path);
      await artifacts.remove(id, { expect: version, emit: [artifactDeleted(doc, eventId, now())] });
    },

    /** Files and folders directly in a folder. Each folder costs one query, however many files are in it. */
    async list(
      listing: ArtifactListing,
    ): Promise<{ readonly entries: Listed[]; readonly next?: ArtifactSeek }> {
      const prefix = listing.folder ? `${listing.folder}/` : '';
      const entries: Listed[] = [];
      let from = listing.from;
      while (entries.length < listing.limit) {
        const page = await after(listing, from, Math.min(listing.limit - entries.length, 200));
        let jumped = false;
        for (const found of page.items) {
          const { path } = found.doc;
          const entry: ArtifactEntry = listing.recursive ? { kind: 'file', path } : entryOf(prefix, path);
          if (entry.kind === 'folder') {
            entries.push(entry);
            from = { path: `${entry.path}0`, inclusive: true };
            jumped = true;
            break;
          }
          entries.push({ kind: 'file', found });
          from = { path, inclusive: false };
        }
        if (!jumped && !page.next) return { entries };
      }
      const more = await after(listing, from, 1);
      return more.items.length > 0 && from ? { entries, next: from } : { entries };
    },
  };
}

function idOf(project: string, run: string, path: string): string {
  return createHash('sha256')
    .update(JSON.stringify([project, run, path]))
    .digest('hex');
}
