import type { BlobStore } from '@millrace/blobs';
import type { DocumentStore } from '@millrace/documents';
import type { Republish } from '../event-log.ts';
import type { Damages } from './damages.ts';
import { blobReason } from './watched-blobs.ts';

/** What a service has stored, and how it is compared. */
export interface Storage {
  readonly documents: DocumentStore;
  readonly blobs: BlobStore | undefined;
  readonly damages: Damages;
  readonly republish: Republish;
}

/** How far a verification has come. */
export interface Progress {
  readonly blobs: number;
  readonly published: number;
}

/**
 * Reads everything once: the documents by their store's own check, each blob against its digest, the stream against the
 * record. What is found is remembered, and what is whole again is said to be.
 */
export async function* verifyStorage(storage: Storage, signal: AbortSignal): AsyncGenerator<Progress> {
  const { documents, blobs, damages, republish } = storage;
  const contradictions = await documents.verify();
  if (contradictions.length > 0) await damages.found('documents', '', contradictions.join('; '));
  else await damages.repaired('documents', '');
  let count = 0;
  yield { blobs: count, published: 0 };
  for await (const { digest, ok } of blobs?.verify({ signal }) ?? []) {
    if (ok) await damages.repaired('blob', digest);
    else await damages.found('blob', digest, blobReason);
    count += 1;
    yield { blobs: count, published: 0 };
  }
  signal.throwIfAborted();
  const { published } = await republish({ from: 1, to: await documents.events.last() });
  yield { blobs: count, published };
}
