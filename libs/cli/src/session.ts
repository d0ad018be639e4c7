import { names, type ResourceName, type Segments } from '@millrace/contracts/names';
import type { Millrace } from '@millrace/sdk';
import type { Globals } from './command.ts';

/** Connects to the suite for the length of `work`. The SDK is loaded when a command needs it, not before. */
export async function withSuite<T>(globals: Globals, work: (millrace: Millrace) => Promise<T>): Promise<T> {
  const { connect, findEndpoints } = await import('@millrace/sdk');
  const millrace = connect({
    endpoints: findEndpoints(globals.env),
    project: globals.project,
    deadlineMs: globals.timeoutMs,
  });
  try {
    return await work(millrace);
  } finally {
    millrace.close();
  }
}

/** A resource's full name from what a person gave: the full name, or its last part in the chosen project. */
function nameOf<K extends string>(
  kind: ResourceName<K | 'project'>,
  given: string,
  segments: Readonly<Record<string, string>>,
  last: K,
): string {
  if (!given.startsWith('projects/'))
    return kind.format({ ...segments, [last]: given } as Segments<K | 'project'>);
  kind.parse(given, 'name');
  return given;
}

/** The same for resources directly in a project. */
export const nameIn = {
  run: (project: string, given: string) => nameOf(names.run, given, { project }, 'run'),
  experiment: (project: string, given: string) => nameOf(names.experiment, given, { project }, 'experiment'),
  model: (project: string, given: string) => nameOf(names.model, given, { project }, 'model'),
  featureView: (project: string, given: string) => nameOf(names.featureView, given, { project }, 'view'),
  pipeline: (project: string, given: string) => nameOf(names.pipeline, given, { project }, 'pipeline'),
  pipelineRun: (project: string, given: string) => nameOf(names.pipelineRun, given, { project }, 'run'),
  deployment: (project: string, given: string) => nameOf(names.deployment, given, { project }, 'deployment'),
  monitor: (project: string, given: string) => nameOf(names.monitor, given, { project }, 'monitor'),
} as const;

/** Gathers pages until there are `limit` items or no more. */
export async function gather<T>(
  limit: number,
  page: (pageSize: number, pageToken: string) => Promise<{ items: readonly T[]; nextPageToken: string }>,
): Promise<T[]> {
  const found: T[] = [];
  for (let token = ''; found.length < limit; ) {
    const { items, nextPageToken } = await page(Math.min(limit - found.length, 500), token);
    found.push(...items);
    token = nextPageToken;
    if (token === '') break;
  }
  return found.slice(0, limit);
}

/** How long a watch may last: as long as was asked for, else 20 days. */
export function watchOptions(globals: Globals, signal?: AbortSignal) {
  const deadlineMs = globals.timeoutGiven ? globals.timeoutMs : 20 * 86_400_000;
  return { deadlineMs, ...(signal ? { signal } : {}) };
}
