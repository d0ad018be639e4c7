import { expect, test } from 'vitest';
import { type Digest, digestOf } from '../src/index.ts';
import { verifyEach } from '../src/verify.ts';

const digests = [1, 2, 3].map((n) => digestOf(Buffer.from([n])));

/** Verifies three blobs, the first of which cannot be opened for the moment. */
async function verify(check: () => Promise<void>) {
  const verified: Digest[] = [];
  const store = {
    check,
    async *get(digest: Digest) {
      if (digest === digests[0]) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
      yield Buffer.from('bytes');
    },
  };
  async function* blobs() {
    for (const digest of digests) yield { digest };
  }
  const run = async () => {
    for await (const { digest, damage } of verifyEach(store, blobs())) if (!damage) verified.push(digest);
  };
  return { verified, failure: await run().catch((error: unknown) => error) };
}

test('what cannot be read for the moment is no damage, keeps nothing else from being read, and is told of', async () => {
  const { verified, failure } = await verify(async () => {});
  expect(verified).toEqual(digests.slice(1));
  expect(failure).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(digests[0]!) });
});

test('a store that is away is not asked for every blob', async () => {
  const { verified, failure } = await verify(async () => {
    throw new Error('away');
  });
  expect([verified, failure]).toMatchObject([[], { message: 'away' }]);
});
