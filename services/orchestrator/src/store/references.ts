import type { AnyCollectionSpec, DocumentStore, Page } from '@millrace/documents';
import {
  cacheSpecs,
  pipelineSpecs,
  runSpecs,
  scheduleSpecs,
  taskSpecs,
  triggerSpecs,
  versionSpecs,
} from './collections.ts';

/** Every collection, and an index by which all of it is read. */
const readings = [
  [pipelineSpecs, ['project', 'name']],
  [versionSpecs, ['pipeline', 'version']],
  [runSpecs, ['project', 'createdAtMs']],
  [taskSpecs, ['run', 'step', 'index']],
  [cacheSpecs, ['createdAtMs']],
  [scheduleSpecs, ['project', 'name']],
  [triggerSpecs, ['project', 'name']],
] as const;

/** The digests that stand anywhere in a document, also inside of texts: parameters and commands may name a blob. */
export async function referencedDigests(
  documents: Pick<DocumentStore, 'collection'>,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const [spec, order] of readings) {
    const collection = documents.collection(spec as AnyCollectionSpec);
    const orderBy = order.map((field) => ({ field }));
    let after: string | undefined;
    do {
      signal?.throwIfAborted();
      const page: Page<unknown> = await collection.find({
        orderBy,
        limit: 500,
        ...(after === undefined ? {} : { after }),
      });
      for (const { doc } of page.items) collect(doc, found);
      after = page.next;
    } while (after !== undefined);
  }
  return found;
}

function collect(value: unknown, found: Set<string>): void {
  if (typeof value === 'string')
    for (const [digest] of value.matchAll(/sha256:[0-9a-f]{64}/g)) found.add(digest);
  else if (typeof value === 'object' && value !== null)
    for (const part of Object.values(value)) collect(part, found);
}
