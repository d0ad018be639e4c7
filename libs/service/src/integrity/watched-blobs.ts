import type { BlobStore, Digest } from '@millrace/blobs';
import { type CodedError, isCoded } from '@millrace/errors';
import type { Damages } from './damages.ts';

/** The damage of a blob in words. */
export function damageReason({ code }: Pick<CodedError, 'code'>): string {
  return code === 'BLOB_UNREADABLE' ? 'its bytes cannot be read' : 'its bytes no longer have this digest';
}

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
  /** What is being remembered of a blob: a repair waits for it, or it would be remembered as damaged afterwards. */
  const noticing = new Map<Digest, Promise<void>>();

  function notice(digest: Digest, error: unknown): void {
    if (!isCoded(error, 'data_loss')) return;
    const found = damages()?.found('blob', digest, damageReason(error)) ?? Promise.resolve();
    const noticed = found.catch(onFailure).finally(() => {
      if (noticing.get(digest) === noticed) noticing.delete(digest);
    });
    noticing.set(digest, noticed);
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
      await noticing.get(info.digest);
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
