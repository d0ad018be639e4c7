import { DamagedKind, IntegrityService } from '@millrace/contracts/common';
import { CodedError } from '@millrace/errors';
import { createServer, implement, silent } from '@millrace/rpc';
import { expect, it } from 'vitest';
import { checkStorage } from '../src/doctor/storage.ts';

it('says that something is wrong when a service answers and cannot verify what it has stored', async () => {
  const blob = {
    kind: DamagedKind.BLOB,
    what: 'sha256:gone',
    reason: 'it is gone, and something refers to it',
  };
  const server = await createServer({
    implementations: [
      implement(IntegrityService, {
        listDamages: async () => ({ damages: [blob] }),
        async *verifyStorage() {
          yield { verifiedBlobs: 0n };
          throw new CodedError('unavailable', 'UNAVAILABLE', '1 blobs could not be read');
        },
      }),
    ],
    host: '127.0.0.1',
    port: 0,
    log: silent,
  });
  try {
    const globals = {
      ...{ project: 'default', json: false, timeoutMs: 5_000, timeoutGiven: false, dataDir: '/nowhere' },
      env: { MILLRACE_TRACKING_ADDRESS: server.address },
    };
    const findings = await checkStorage(globals, true, () => {});
    expect(findings.map(({ state, text }) => [state, text])).toEqual([
      ['bad', `tracking: blob ${blob.what} is damaged: ${blob.reason}`],
      ['bad', 'tracking: not all was verified: 1 blobs could not be read'],
    ]);
  } finally {
    await server.drain(0);
  }
});
