import type { BlobStore } from '@millrace/blobs';
import type { DocumentStore } from '@millrace/documents';
import type { Republish } from '../event-log.ts';
import type { Damages } from './damages.ts';
import { compareReferences } from './missing-blobs.ts';
import { type BlobReferences, referencedBlobs } from './references.ts';
import { damageReason } from './watched-blobs.ts';

/** What a service has stored, and how it is compared. */
export interface Storage {
  readonly documents: DocumentStore;
  readonly blobs: BlobStore | undefined;
  /** Which blobs the documents refer to. */
  readonly references: readonly BlobReferences[];
  readonly damages: Damages;
  readonly republish: Republish;
}

/** How far a verification has come. */
export interface Progress {
  readonly blobs: number;
  readonly published: number;
}

/**
 * Reads everything once: the documents by their store's own check, each blob against its digest, the blobs against what
 * refers to them, the stream against the record. What is found is remembered, and what is whole again is said to be. A
 * part that cannot be verified does not keep the others from it; the first such failure is thrown at the end.
 */
export async function* verifyStorage(storage: Storage, signal: AbortSignal): AsyncGenerator<Progress> {
  const { documents, blobs, references, damages, republish } = storage;
  const failures: unknown[] = [];
  const failed = (error: unknown) => {
    signal.throwIfAborted();
    failures.push(error);
  };
  await verifyDocuments(documents, damages).catch(failed);
  let count = 0;
  yield { blobs: count, published: 0 };
  try {
    for await (const { digest, damage } of blobs?.verify({ signal }) ?? []) {
      const noted = damage
        ? damages.found('blob', digest, damageReason(damage))
        : damages.repaired('blob', digest);
      await noted.catch(failed);
      count += 1;
      yield { blobs: count, published: 0 };
    }
  } catch (error) {
    failed(error);
  }
  if (blobs)
    await compareReferences(blobs, damages, () => referencedBlobs(documents, references, signal)).catch(
      failed,
    );
  signal.throwIfAborted();
  const refilled = documents.events.last().then((to) => republish({ from: 1, to }));
  const published = await refilled.then((refill) => refill.published).catch(failed);
  yield { blobs: count, published: published ?? 0 };
  if (failures.length > 0) throw failures[0];
}

async function verifyDocuments(documents: DocumentStore, damages: Damages): Promise<void> {
  const contradictions = await documents.verify();
  if (contradictions.length > 0) await damages.found('documents', '', contradictions.join('; '));
  else await damages.repaired('documents', '');
}
