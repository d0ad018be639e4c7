import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BlobStore, type Digest, openBlobs } from '@millrace/blobs';
import { integrityEvents } from '@millrace/contracts';
import { IntegrityService } from '@millrace/contracts/common';
import { defineCollection, openDocuments } from '@millrace/documents';
import { unavailable } from '@millrace/errors';
import { createClient, memoryTransport } from '@millrace/rpc';
import { tempDir } from '@millrace/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDamages, damagesSpec } from '../src/integrity/damages.ts';
import { integrityHandlers } from '../src/integrity/handlers.ts';
import { refersTo } from '../src/integrity/references.ts';
import { watchBlobs } from '../src/integrity/watched-blobs.ts';

/** Documents that refer to a blob each. */
const holders = defineCollection({
  name: 'holders',
  fields: { digest: (doc: { digest: string }) => doc.digest },
  indexes: [['digest']],
});

/** A service's storage on the disk, and its integrity service called in this process. Damage is remembered so late. */
async function open(rememberMs = 0) {
  const folder = tempDir('millrace-integrity-');
  const documents = await openDocuments({
    url: `sqlite:${folder.path}/documents.db`,
    collections: [damagesSpec, holders],
  });
  const plain = await openBlobs({ url: `file:${folder.path}/blobs`, cacheDir: `${folder.path}/cache` });
  let nowMs = 1_000;
  const damages = createDamages(documents, 'registry', () => nowMs++);
  const failures: unknown[] = [];
  const blobs = watchBlobs(
    plain,
    () => ({
      ...damages,
      found: async (...what) => {
        await sleep(rememberMs);
        await damages.found(...what);
      },
    }),
    (error) => failures.push(error),
  );
  let refill = 0;
  let fault: Error | undefined;
  let refills = 0;
  const republish = async () => {
    refills += 1;
    return { published: refill, present: 0 };
  };
  const checked = {
    ...documents,
    verify: async () => {
      if (fault) throw fault;
      return documents.verify();
    },
  };
  const references = [refersTo(holders, ['digest'], ({ digest }) => [digest])];
  const storage = { documents: checked, blobs: plain, damages, references, republish };
  const transport = memoryTransport([integrityHandlers(storage)]);
  const client = createClient(IntegrityService, transport, { deadlineMs: 30_000 });
  return {
    blobs,
    client,
    damages,
    failures,
    /** What the documents' own check throws from now on. */
    breakCheck: (error: Error) => {
      fault = error;
    },
    holders: documents.collection(holders),
    /** How often the stream was compared with the record. */
    refills: () => refills,
    /** Of the next verification: how many events it finds lost. */
    lose: (events: number) => {
      refill = events;
    },
    async verify() {
      let last: Awaited<ReturnType<typeof client.listDamages>>['damages'] = [];
      let [verified, published, done] = [0n, 0n, false];
      for await (const step of client.verifyStorage({}))
        [last, verified, published, done] = [
          step.damages,
          step.verifiedBlobs,
          step.publishedEvents,
          step.done,
        ];
      return { damaged: last.map(({ what }) => what).sort(), verified, published, done };
    },
    async told() {
      const events = await documents.events.read({ after: 0, limit: 1_000 });
      return events.map(({ type }) => type);
    },
    async close() {
      paths.clear();
      await plain.close();
      await documents.close();
      await folder.remove();
    },
  };
}

const bytesOf = (n: number) => Buffer.from(`blob ${n}`);
const spoil = async (blobs: BlobStore, digest: Digest) =>
  writeFile(await pathOf(blobs, digest), 'other bytes');

const paths = new Map<Digest, string>();
async function pathOf(blobs: BlobStore, digest: Digest): Promise<string> {
  const known = paths.get(digest);
  if (known) return known;
  const path = await blobs.localPath(digest);
  paths.set(digest, path);
  return path;
}

const { damageFound, damageRepaired } = integrityEvents('registry');

describe('the integrity of what is stored', () => {
  it('is told as it is, whatever is damaged, read, mended and verified, each change once', async () => {
    const act = fc.oneof(
      fc.record({ do: fc.constantFrom('spoil', 'put', 'read'), blob: fc.nat({ max: 3 }) }),
      fc.record({ do: fc.constant('verify'), blob: fc.constant(0) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 20 }), async (acts) => {
        const storage = await open();
        try {
          const digests: Digest[] = [];
          for (let n = 0; n < 4; n++) {
            const { digest } = await storage.blobs.put(bytesOf(n));
            await pathOf(storage.blobs, digest);
            digests.push(digest);
          }
          const spoiled = new Set<Digest>();
          const known = new Set<Digest>();
          const expected: string[] = [];
          const notice = (digest: Digest) => {
            if (known.has(digest)) return;
            known.add(digest);
            expected.push(damageFound.type);
          };
          for (const { do: what, blob } of [...acts, { do: 'verify', blob: 0 }]) {
            const digest = digests[blob]!;
            if (what === 'spoil') {
              await spoil(storage.blobs, digest);
              spoiled.add(digest);
            } else if (what === 'put') {
              await storage.blobs.put(bytesOf(blob));
              spoiled.delete(digest);
              if (known.delete(digest)) expected.push(damageRepaired.type);
            } else if (what === 'read') {
              const read = storage.blobs.bytes(digest);
              if (!spoiled.has(digest)) expect(Buffer.from(await read)).toEqual(bytesOf(blob));
              else {
                await expect(read).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', kind: 'data_loss' });
                notice(digest);
              }
            } else {
              for (const one of spoiled) notice(one);
              const found = await storage.verify();
              expect(found).toEqual({
                damaged: [...spoiled].sort(),
                verified: 4n,
                published: 0n,
                done: true,
              });
            }
          }
          expect((await storage.told()).sort()).toEqual(expected.sort());
          expect(storage.failures).toEqual([]);
        } finally {
          await storage.close();
        }
      }),
      { numRuns: 8 },
    );
  });

  it('is whole when it is mended while the damage is still being remembered', async () => {
    const storage = await open(100);
    try {
      const { digest } = await storage.blobs.put(bytesOf(1));
      await spoil(storage.blobs, digest);
      await expect(storage.blobs.bytes(digest)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
      await storage.blobs.put(bytesOf(1));
      await sleep(300);
      expect((await storage.client.listDamages({})).damages).toEqual([]);
      expect(await storage.told()).toEqual([damageFound.type, damageRepaired.type]);
    } finally {
      await storage.close();
    }
  });

  it('is listed in pages, oldest first, without what was mended', async () => {
    const storage = await open();
    try {
      for (let n = 0; n < 7; n++) await storage.damages.found('blob', `sha256:${n}`, 'spoiled');
      await storage.damages.repaired('blob', 'sha256:3');
      const listed: string[] = [];
      for (let pageToken = ''; ; ) {
        const page = await storage.client.listDamages({ pageSize: 2, pageToken });
        expect(page.damages.length).toBeLessThanOrEqual(2);
        listed.push(...page.damages.map(({ what }) => what));
        pageToken = page.nextPageToken;
        if (pageToken === '') break;
      }
      expect(listed).toEqual([0, 1, 2, 4, 5, 6].map((n) => `sha256:${n}`));
    } finally {
      await storage.close();
    }
  });

  it('misses blobs that something refers to, until they are uploaded again or nothing refers to them', async () => {
    const storage = await open();
    try {
      const digests: Digest[] = [];
      for (let n = 0; n < 4; n++) {
        const { digest } = await storage.blobs.put(bytesOf(n));
        digests.push(digest);
        await pathOf(storage.blobs, digest);
        if (n < 3) await storage.holders.insert(`${n}`, { digest });
      }
      await storage.holders.insert('same', { digest: digests[0]! });
      const [again, forgotten, present, unwanted] = digests as [Digest, Digest, Digest, Digest];
      await spoil(storage.blobs, unwanted);
      expect((await storage.verify()).damaged).toEqual([unwanted]);
      for (const digest of [again, forgotten, unwanted]) await rm(await pathOf(storage.blobs, digest));
      expect((await storage.verify()).damaged).toEqual([again, forgotten].sort());
      await storage.blobs.put(bytesOf(0));
      await storage.holders.remove('1');
      expect(await storage.verify()).toMatchObject({ damaged: [], verified: 2n });
      expect(await storage.blobs.stat(present)).toBeDefined();
      expect((await storage.told()).filter((type) => type === damageFound.type)).toHaveLength(3);
      expect((await storage.told()).filter((type) => type === damageRepaired.type)).toHaveLength(3);
    } finally {
      await storage.close();
    }
  });

  it('is verified in all other parts when one cannot be, and says at the end that this one was not', async () => {
    const storage = await open();
    try {
      const [{ digest }, gone] = [await storage.blobs.put(bytesOf(1)), await storage.blobs.put(bytesOf(2))];
      await storage.holders.insert('gone', { digest: gone.digest });
      await rm(await pathOf(storage.blobs, gone.digest));
      await spoil(storage.blobs, digest);
      storage.breakCheck(unavailable('the document store'));
      await expect(storage.verify()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      const { damages } = await storage.client.listDamages({});
      expect(damages.map(({ what }) => what).sort()).toEqual([digest, gone.digest].sort());
      expect(storage.refills()).toBe(1);
    } finally {
      await storage.close();
    }
  });

  it('tells how many events the stream had lost', async () => {
    const storage = await open();
    try {
      storage.lose(12);
      expect(await storage.verify()).toEqual({ damaged: [], verified: 0n, published: 12n, done: true });
    } finally {
      await storage.close();
    }
  });
});
