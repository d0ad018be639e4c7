import { IntegrityService } from '@millrace/contracts/common';
import { type Implementation, implement } from '@millrace/rpc';
import { pageOf } from '../request.ts';
import { toMessage } from './damages.ts';
import { type Storage, verifyStorage } from './verify.ts';

/** A verification tells how far it is after this many blobs. */
const everyBlobs = 50;

/** What every service answers about its storage. */
export function integrityHandlers(storage: Storage): Implementation {
  const { damages } = storage;
  return implement(IntegrityService, {
    async listDamages(request) {
      const { items, next = '' } = await damages.open(pageOf(request));
      return { damages: items.map(({ doc }) => toMessage(doc)), nextPageToken: next };
    },
    async *verifyStorage(_, { signal }) {
      let last = { blobs: 0, published: 0 };
      for await (const progress of verifyStorage(storage, signal)) {
        last = progress;
        if (progress.blobs % everyBlobs === 0) yield { verifiedBlobs: BigInt(progress.blobs) };
      }
      const { items } = await damages.open({ limit: 1_000 });
      yield {
        verifiedBlobs: BigInt(last.blobs),
        publishedEvents: BigInt(last.published),
        damages: items.map(({ doc }) => toMessage(doc)),
        done: true,
      };
    },
  });
}
