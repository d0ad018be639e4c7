import { CodedError, isCoded } from '@millrace/errors';
import type { BlobStore, Digest, Verified } from './port.ts';

/**
 * Reads blobs and tells which are damaged. One that was removed meanwhile is nothing. One that cannot be read for a
 * reason that says nothing of it, as too many open files or a busy server, is passed over while the store itself
 * answers: the others are read, and at the end UNAVAILABLE says that these were not.
 */
export async function* verifyEach(
  store: Pick<BlobStore, 'get' | 'check'>,
  blobs: AsyncIterable<{ readonly digest: Digest }>,
  signal?: AbortSignal,
): AsyncGenerator<Verified> {
  let first: { readonly digest: Digest; readonly cause: unknown } | undefined;
  let passedOver = 0;
  for await (const { digest } of blobs) {
    signal?.throwIfAborted();
    try {
      for await (const _ of store.get(digest));
    } catch (cause) {
      if (isCoded(cause, 'not_found')) continue;
      if (isCoded(cause, 'data_loss')) yield { digest, damage: cause };
      else {
        await store.check();
        first ??= { digest, cause };
        passedOver += 1;
      }
      continue;
    }
    yield { digest };
  }
  if (!first) return;
  const message = `blobs that could not be read and were not verified: ${passedOver}, the first ${first.digest}; retry`;
  throw new CodedError('unavailable', 'UNAVAILABLE', message, { cause: first.cause });
}
