import type { Collection, Versioned } from '@millrace/documents';
import { notFound } from '@millrace/errors';
import { isOver, type Job } from '../domain/job.ts';

/** How often a watched job is looked at. */
const lookMs = 200;

/** A job's document whenever it has changed, until the job is over. */
export async function* follow<T extends Job, F extends string>(
  collection: Collection<T, F>,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Versioned<T>> {
  let told = 0;
  while (!signal.aborted) {
    const held = await collection.get(name);
    if (!held) throw notFound(name);
    if (held.version > told) yield held;
    told = held.version;
    if (isOver(held.doc)) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, lookMs);
      signal.addEventListener('abort', done);
    });
  }
}
