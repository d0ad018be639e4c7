import type { BlobStore, Digest } from '@millrace/blobs';
import { from, isCoded } from '@millrace/errors';
import type { Damages } from './damages.ts';

export const blobReason = 'its bytes no longer have this digest';

/**
 * A blob store that remembers the damage its readers meet, and the repair when the same bytes are stored again. Nobody
 * waits for the remembering, and its failure does not become the reader's.
 */
export function watchBlobs(
  store: BlobStore,
  /** Undefined while the service is being built. */
  damages: () => Pick<Damages, 'found' | 'repaired'> | undefined,
  onFailure: (error: unknown) => void,
): BlobStore {
  function notice(digest: Digest, error: unknown): void {
    if (isCoded(error, 'DIGEST_MISMATCH') && from(error).kind === 'data_loss')
      damages()?.found('blob', digest, blobReason).catch(onFailure);
  }
  async function watching<T>(digest: Digest, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      notice(digest, error);
      throw error;
    }
  }
  return {
    ...store,
    async put(source, options) {
      const info = await store.put(source, options);
      await damages()?.repaired('blob', info.digest);
      return info;
    },
    async *get(digest, range) {
      try {
        yield* store.get(digest, range);
      } catch (error) {
        notice(digest, error);
        throw error;
      }
    },
    bytes: (digest, options) => watching(digest, store.bytes(digest, options)),
    localPath: (digest) => watching(digest, store.localPath(digest)),
  };
}
