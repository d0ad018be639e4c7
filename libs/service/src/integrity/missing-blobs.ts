import type { BlobStore, Digest } from '@millrace/blobs';
import { isCoded } from '@millrace/errors';
import type { Damages } from './damages.ts';
import { damageReason } from './watched-blobs.ts';

const missingReason = 'it is gone, and something refers to it';

/**
 * Tells of blobs that are referred to and are not there, and that the damage of one is over which is gone and which
 * nothing refers to any more. `references` reads all references anew each time: what is referred to before and after it
 * was missed was not removed because nobody wanted it.
 */
export async function compareReferences(
  blobs: Pick<BlobStore, 'stat'>,
  damages: Damages,
  references: () => AsyncIterable<Digest>,
): Promise<void> {
  const missed = new Set<Digest>();
  const isMissed = async (digest: Digest): Promise<boolean> => {
    try {
      return (await blobs.stat(digest)) === undefined;
    } catch (error) {
      if (!isCoded(error, 'data_loss')) throw error;
      await damages.found('blob', digest, damageReason(error));
      return false;
    }
  };
  for await (const digest of references()) if (await isMissed(digest)) missed.add(digest);
  for (let page: Awaited<ReturnType<Damages['open']>> | undefined; !page || page.next; ) {
    page = await damages.open({ limit: 500, ...(page?.next ? { after: page.next } : {}) });
    for (const { doc } of page.items)
      if (doc.kind === 'blob' && (await isMissed(doc.what as Digest))) missed.add(doc.what as Digest);
  }
  if (missed.size === 0) return;
  for await (const digest of references())
    if (missed.delete(digest) && (await isMissed(digest))) await damages.found('blob', digest, missingReason);
  for (const digest of missed) await damages.repaired('blob', digest);
}
