import { mkdtemp, rm, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { CodedError } from '@millrace/errors';
import { fetchByApt, type Progress } from './apt.ts';
import { binaryName, cacheFolder, findCached, moveIntoCache, withLock } from './cache.ts';
import { versionOf } from './command.ts';
import { fetchRelease } from './release.ts';
import { judgeVersion, minimumVersion } from './version.ts';

/** A nats-server program that can be used on this machine. */
export interface FoundServer {
  readonly path: string;
  /** For example `2.15.2`. */
  readonly version: string;
  readonly from: 'path' | 'cache' | 'apt' | 'release';
}

export interface FindOptions {
  /** @default process.env */
  readonly env?: NodeJS.ProcessEnv;
  /** Gets a line for each step, for a person to read. @default nothing is told */
  readonly progress?: Progress;
}

/**
 * Finds a nats-server: on the PATH if it is new enough, in the cache, else fetched into the cache: through the
 * machine's own apt configuration on Debian and Ubuntu, or from the official release. Processes that look at the
 * same time fetch once. Throws NATS_NOT_FOUND, saying what to do.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<FoundServer> {
  const env = options.env ?? process.env;
  const notes: string[] = [];
  const progress: Progress = (line) => {
    notes.push(line);
    options.progress?.(line);
  };
  const cache = cacheFolder(env);
  const present = (await findOnPath(env, progress)) ?? (await lookInCache(cache));
  if (present) return present;
  return withLock(
    cache,
    async () => (await lookInCache(cache)) ?? (await fetchServer(cache, progress)),
  ).catch((error: unknown) => {
    throw error instanceof CodedError ? error : notFoundError(notes, error);
  });
}

async function findOnPath(env: NodeJS.ProcessEnv, progress: Progress): Promise<FoundServer | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, binaryName);
    if (folder === '' || !(await stat(path).catch(() => undefined))?.isFile()) continue;
    const version = await versionOf(path);
    if (!version) progress(`${path} does not run; looking further`);
    else if (judgeVersion(version).usable) return { path, version, from: 'path' };
    else progress(`${path} is version ${version}, older than ${minimumVersion}; looking further`);
  }
  return undefined;
}

async function lookInCache(folder: string): Promise<FoundServer | undefined> {
  const cached = await findCached(folder);
  return cached && { ...cached, from: 'cache' };
}

async function fetchServer(cache: string, progress: Progress): Promise<FoundServer> {
  const work = await mkdtemp(join(cache, '.work-'));
  try {
    const byApt = await fetchByApt(work, progress);
    const prepared = byApt ?? (await fetchRelease(work, progress));
    if (!prepared) throw notFoundError([]);
    const path = await moveIntoCache(prepared.folder, cache, prepared.version);
    progress(`nats-server ${prepared.version} is ready in ${path}`);
    return { path, version: prepared.version, from: byApt ? 'apt' : 'release' };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function notFoundError(notes: readonly string[], cause?: unknown): CodedError {
  const tried = notes.length > 0 ? ` Tried: ${notes.join('; ')}.` : '';
  const message =
    'no nats-server could be found or fetched. Install nats-server 2.14 or newer (at least ' +
    `${minimumVersion}; https://nats.io/download), put it on the PATH, or set NATS_URL to a running server.${tried}`;
  return new CodedError('failed_precondition', 'NATS_NOT_FOUND', message, { cause });
}
