import type { RpcServer } from '@millrace/rpc';
import type { Logger } from '@millrace/telemetry';
import type { Job } from '../jobs.ts';
import { pause } from '../pause.ts';
import { type Storage, verifyStorage } from './verify.ts';

export interface IntegrityJobsOptions {
  readonly storage: Storage;
  readonly server: Pick<RpcServer, 'setServing'>;
  readonly everyHours: number;
  readonly log: Logger;
  now(): number;
}

/** The name under which the health service tells of damage. */
const healthName = 'storage';
const cursor = 'storage-verified';
const hourMs = 3_600_000;
/** Those who read and write come first. */
const betweenBlobsMs = 10;

/** The jobs that look for damage, and tell the health service of what is known. */
export function integrityJobs({ storage, server, everyHours, log, now }: IntegrityJobsOptions): Job[] {
  const { documents, damages } = storage;
  let sound: boolean | undefined;
  return [
    {
      name: 'tell of damage',
      everyMs: 2_000,
      run: async () => {
        const { items } = await damages.open();
        const isSound = items.length === 0;
        if (isSound !== sound && !isSound)
          for (const { doc } of items)
            log.error({ what: doc.what, reason: doc.reason }, `a ${doc.kind} is damaged`);
        sound = isSound;
        server.setServing(isSound, healthName);
      },
    },
    {
      name: 'verify storage',
      everyMs: Math.min(hourMs, everyHours * hourMs),
      run: async (signal) => {
        const verifiedMs = await documents.cursors.get(cursor);
        // A store that is new has nothing to verify, and a start is the wrong moment to read everything.
        if (verifiedMs === 0) return documents.cursors.set(cursor, now());
        if (now() < verifiedMs + everyHours * hourMs) return;
        let last = { blobs: 0, published: 0 };
        for await (const progress of verifyStorage(storage, signal)) {
          last = progress;
          await pause(betweenBlobsMs, signal);
        }
        await documents.cursors.set(cursor, now());
        log.info({ ...last }, 'the storage was verified');
      },
    },
  ];
}
