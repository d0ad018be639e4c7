import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { isCoded } from '@millrace/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BlobStore, type Digest, digestOf } from '../src/index.ts';

/** What a store is run against, beside the store itself. */
export interface Subject {
  readonly store: BlobStore;
  /** Changes one bit of a stored blob behind the store's back. */
  damage(digest: Digest): Promise<void>;
  /** How many unfinished uploads lie in the store. */
  leftovers(): Promise<number>;
  readonly presigns: boolean;
  close(): Promise<void>;
}

/** What every object store must do; each adapter's test file runs it. */
export function blobContract(name: string, start: () => Promise<Subject>): void {
  describe(`blobs on ${name}`, () => {
    let subject: Subject;
    beforeAll(async () => {
      subject = await start();
    }, 120_000);
    afterAll(async () => subject?.close());

    test('any bytes come back the same, under their SHA-256', async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), async (bytes) => {
          const info = await subject.store.put(bytes);
          expect(info.digest).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
          expect(info.sizeBytes).toBe(bytes.byteLength);
          expect(Buffer.from(await subject.store.bytes(info.digest)).equals(bytes)).toBe(true);
        }),
        { numRuns: 25 },
      );
    });

    test('any range is the slice of the whole', async () => {
      const bytes = randomBytes(10_000);
      const { digest } = await subject.store.put(bytes);
      await fc.assert(
        fc.asyncProperty(
          fc.nat(11_000),
          fc.option(fc.nat(11_000), { nil: undefined }),
          async (offset, length) => {
            const got = await collect(
              subject.store.get(digest, length === undefined ? { offset } : { offset, length }),
            );
            const end = length === undefined ? undefined : offset + length;
            expect(got.equals(bytes.subarray(offset, end))).toBe(true);
          },
        ),
        { numRuns: 40 },
      );
    });

    test('a stream of 40 MB is stored whole and putting it again is a no-op', async () => {
      const chunk = randomBytes(1 << 20);
      async function* chunks() {
        for (let i = 0; i < 40; i++) yield chunk;
      }
      const first = await subject.store.put(chunks());
      expect(first.sizeBytes).toBe(40 << 20);
      expect(await subject.store.put(chunks())).toEqual(first);
      expect(await subject.store.stat(first.digest)).toEqual(first);
      const file = await open(await subject.store.localPath(first.digest), 'r');
      expect((await file.stat()).size).toBe(40 << 20);
      await file.close();
    }, 60_000);

    test('bytes with another digest than expected are refused and leave nothing', async () => {
      const bytes = randomBytes(100);
      const expected = digestOf(randomBytes(100));
      const refusal = await subject.store.put(bytes, { expect: expected }).catch((error: unknown) => error);
      expect(isCoded(refusal, 'DIGEST_MISMATCH') && refusal.kind).toBe('invalid_argument');
      expect(await subject.store.stat(digestOf(bytes))).toBeUndefined();
      expect(await subject.store.stat(expected)).toBeUndefined();
      expect(await subject.leftovers()).toBe(0);
    });

    test('an upload that fails half-way or grows too large leaves nothing', async () => {
      async function* broken() {
        yield randomBytes(100_000);
        throw new Error('the sender went away');
      }
      await expect(subject.store.put(broken())).rejects.toThrow();
      const refusal = await subject.store
        .put(randomBytes(1001), { maxBytes: 1000 })
        .catch((error: unknown) => error);
      expect(isCoded(refusal, 'TOO_LARGE')).toBe(true);
      expect(await subject.leftovers()).toBe(0);
    });

    test('a blob whose bytes changed is noticed by reading and by verify', async () => {
      const { digest } = await subject.store.put(randomBytes(5000));
      await subject.damage(digest);
      const refusal = await subject.store.bytes(digest).catch((error: unknown) => error);
      expect(isCoded(refusal, 'DIGEST_MISMATCH') && refusal.kind).toBe('data_loss');
      const bad: string[] = [];
      for await (const found of subject.store.verify())
        if (isCoded(found.damage, 'DIGEST_MISMATCH')) bad.push(found.digest);
      expect(bad).toEqual([digest]);
      await subject.store.remove(digest);
    });

    test('a range of a blob whose bytes changed is refused, also when an earlier one was sound', async () => {
      const { store } = subject;
      const sound = randomBytes(5000);
      const [fresh, known] = [await store.put(randomBytes(5000)), await store.put(sound)];
      const part = { offset: 10, length: 20 };
      expect(await collect(store.get(known.digest, part))).toEqual(sound.subarray(10, 30));
      // A mark tells of a change by its time, which an S3 store counts in seconds.
      await new Promise((settle) => setTimeout(settle, 1100));
      for (const { digest } of [fresh, known]) {
        await subject.damage(digest);
        const refusal = await collect(store.get(digest, part)).catch((error: unknown) => error);
        expect(isCoded(refusal, 'DIGEST_MISMATCH') && refusal.kind).toBe('data_loss');
        await store.remove(digest);
      }
    });

    test('a blob that is removed while everything is verified is nothing', async () => {
      const { store } = subject;
      const put = await Promise.all([1, 2, 3].map(() => store.put(randomBytes(30))));
      const [, ...later] = (await listed(store)).filter((digest) =>
        put.some((info) => info.digest === digest),
      );
      const verified: string[] = [];
      for await (const { digest, damage } of store.verify()) {
        expect(damage).toBeUndefined();
        verified.push(digest);
        if (put.some((info) => info.digest === digest)) for (const one of later) await store.remove(one);
      }
      expect(verified).not.toEqual(expect.arrayContaining([later[0]]));
    });

    test('what is not there is NOT_FOUND, and what is no digest is refused', async () => {
      const absent = digestOf(randomBytes(20));
      expect(isCoded(await subject.store.bytes(absent).catch((e: unknown) => e), 'not_found')).toBe(true);
      expect(await subject.store.stat(absent)).toBeUndefined();
      await subject.store.remove(absent);
      for (const text of ['sha256:../../etc/passwd', 'sha256:', `sha256:${'A'.repeat(64)}`, 'x']) {
        const refusal = await subject.store.bytes(text as Digest).catch((error: unknown) => error);
        expect(isCoded(refusal, 'invalid_argument')).toBe(true);
      }
    });

    test('the list pages through every blob once, in order', async () => {
      const all: string[] = [];
      for (let after: Digest | undefined; ; ) {
        const page = await subject.store.list({ limit: 7, ...(after ? { after } : {}) });
        all.push(...page.map((info) => info.digest));
        after = page.at(-1)?.digest;
        if (!after) break;
      }
      expect(all).toEqual([...new Set(all)].sort());
      expect(all.length).toBeGreaterThan(5);
    });

    test('a sweep removes what nobody keeps, but not what was put lately, or is put again or touched meanwhile', async () => {
      const { store } = subject;
      const put = async () => {
        const bytes = randomBytes(200);
        return { bytes, ...(await store.put(bytes)) };
      };
      const [kept, swept, again, touched] = [await put(), await put(), await put(), await put()];
      const others = new Set((await listed(store)).filter((digest) => digest !== swept.digest));
      const unusedMs = 2000;
      expect(await store.sweep({ unusedMs: 3_600_000, keep: () => false })).toBe(0);
      await new Promise((settle) => setTimeout(settle, unusedMs + 1100));
      await store.put(again.bytes);
      const { digest, sizeBytes } = touched;
      expect(await store.touch(digest)).toEqual({ digest, sizeBytes });
      expect(await store.touch(digestOf(randomBytes(20)))).toBeUndefined();
      const young: readonly Digest[] = [again.digest, touched.digest];
      const keep = (each: Digest) => !young.includes(each) && others.has(each);
      expect(await store.sweep({ unusedMs, keep })).toBe(1);
      const left = await listed(store);
      expect(left).not.toContain(swept.digest);
      expect(left).toEqual(expect.arrayContaining([kept.digest, again.digest, touched.digest]));
      expect(Buffer.from(await store.bytes(touched.digest)).equals(touched.bytes)).toBe(true);
    });

    test('a presigned URL gives the bytes where the store has such URLs', async () => {
      const bytes = randomBytes(300);
      const { digest } = await subject.store.put(bytes);
      const url = await subject.store.presign(digest, { expiresInS: 60 });
      expect(url !== undefined).toBe(subject.presigns);
      if (!url) return;
      const fetched = Buffer.from(await (await fetch(url)).arrayBuffer());
      expect(fetched.equals(bytes)).toBe(true);
    });
  });
}

async function listed(store: BlobStore): Promise<Digest[]> {
  return (await store.list()).map(({ digest }) => digest);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
