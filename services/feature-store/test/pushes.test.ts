import { join } from 'node:path';
import { type BlobStore, openBlobs } from '@millrace/blobs';
import { openDocuments } from '@millrace/documents';
import { CodedError } from '@millrace/errors';
import { type TempDir, tempDir, until } from '@millrace/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FeatureView } from '../src/domain/definition.ts';
import { keyOf } from '../src/domain/key.ts';
import { hourUs } from '../src/domain/time.ts';
import { createKeyCache } from '../src/online/key-cache.ts';
import { createPushes } from '../src/online/pushes.ts';
import { readColumns } from '../src/online/read.ts';
import { createOnlineWriter, generationOf, onlineId } from '../src/online/write.ts';
import { collections } from '../src/store/collections.ts';
import { readSide } from '../src/store/online-doc.ts';
import { createStore, type Store } from '../src/store/store.ts';

const name = 'projects/p/featureViews/clicks';
const view: FeatureView = {
  project: 'p',
  view: 'clicks',
  uid: 'u',
  version: 1,
  entities: [],
  joinKeys: [{ name: 'user', type: 'string' }],
  source: '',
  sql: '',
  timestampColumn: 'at',
  createdColumn: '',
  ttlUs: 0,
  columns: [
    { name: 'user', type: 'string' },
    { name: 'at', type: 'timestamp' },
  ],
  features: [],
  aggregations: [{ name: 'n', fn: 'count', column: '', windowUs: hourUs, places: null, description: '' }],
  materializedUs: null,
  description: '',
  tags: [],
};

let folder: TempDir;
let store: Store;
let blobs: BlobStore;
let nowMs = 0;
const base = Date.UTC(2001, 5, 14) * 1000;

beforeEach(async () => {
  folder = tempDir();
  nowMs = Date.now();
  const url = `sqlite:${join(folder.path, 'd.db')}`;
  store = createStore(await openDocuments({ url, collections, now: () => nowMs }), () => nowMs);
  blobs = await openBlobs({ url: `file:${join(folder.path, 'blobs')}` });
  await store.views.insert(name, view);
});
afterEach(async () => {
  await store.documents.close();
  await folder.remove();
});

/** The parts of a process; `refuses` tells which keys its store cannot write now, or not yet; `reading` what views wait for. */
function process(
  refuses: (key: string) => CodedError | undefined | Promise<undefined> = () => undefined,
  reading: Promise<void> = Promise.resolve(),
) {
  const views: Store['views'] = {
    ...store.views,
    get: async (id) => {
      await reading;
      return store.views.get(id);
    },
  };
  const online: Store['online'] = {
    ...store.online,
    upsert: async (id, ...rest) => {
      const refusal = await refuses(id);
      if (refusal) throw refusal;
      return store.online.upsert(id, ...rest);
    },
  };
  const cache = createKeyCache(online, {
    ...{ maxKeys: 0, maxAgeMs: 0, now: () => nowMs, foreignWrites: async () => undefined },
  });
  const writer = createOnlineWriter({ ...store, online }, cache, 48 * hourUs, () => nowMs);
  return createPushes({ ...store, views }, blobs, writer, () => nowMs);
}

const push = (pushes: ReturnType<typeof process>, i: number, users: readonly string[], at = view) =>
  pushes.push({
    view: at,
    name,
    id: i.toString(16).padStart(32, '0'),
    requestId: `r${i}`,
    table: {
      rowCount: users.length,
      columns: [
        { name: 'user', type: 'string', cells: [...users] },
        { name: 'at', type: 'timestamp', cells: users.map(() => BigInt(base + i)) },
      ],
    },
  });

/** How many rows a user has online. */
async function count(user: string, version = 1): Promise<number> {
  const at = { ...view, version };
  const id = onlineId(generationOf(at), keyOf([user])!);
  const doc = (await store.online.get(id))?.doc;
  const state = doc && [readSide(doc.batch), readSide(doc.pushed)];
  const [column] = readColumns(at, ['n'], [state], [base + hourUs / 2]);
  return Number(column!.cells[0] ?? 0);
}

const full = new CodedError('resource_exhausted', 'DISK_FULL', 'the disk is full');
const tooLarge = new CodedError('resource_exhausted', 'TOO_LARGE', 'the key is full');

describe('a push that was cut short between its record and the online values', () => {
  it('is finished by the running service, not only by the next start', async () => {
    const pushes = process((id) => (broken && id.includes('sb') ? full : undefined));
    let broken = true;
    await expect(push(pushes, 1, ['a', 'b'])).rejects.toMatchObject({ code: 'DISK_FULL' });
    await until(async () => (await count('a')) === 1);
    expect(await count('b')).toBe(0);
    broken = false;
    await pushes.recover({ atStart: false });
    expect(await count('b')).toBe(0);
    nowMs += 60_000;
    await pushes.recover({ atStart: false });
    expect(await Promise.all([count('a'), count('b')])).toEqual([1, 1]);
  });

  it.each(['the next start', 'its caller'])(
    'counts once when %s finishes it after many others',
    async (who) => {
      const broken = process((id) => (id.includes('sb') ? full : undefined));
      await expect(push(broken, 1, ['a', 'b'])).rejects.toMatchObject({ code: 'DISK_FULL' });
      const pushes = process();
      for (let i = 2; i <= 101; i++) await push(pushes, i, ['a']);
      if (who === 'its caller') await push(pushes, 1, ['a', 'b']);
      else await process().recover({ atStart: true });
      expect(await Promise.all([count('a'), count('b')])).toEqual([101, 1]);
      for (let i = 102; i <= 140; i++) await push(pushes, i, ['a']);
      const { items } = await store.online.find({ where: { generation: 'u:1' } });
      for (const { doc } of items) expect(doc.pushes.length).toBeLessThanOrEqual(32);
    },
  );

  it('counts once when others that were recorded with it came after it to a key', async () => {
    const pushes = process((id) => (id.includes('sb') ? full : undefined));
    const users = [['a', 'b'], ...Array.from({ length: 40 }, () => ['a'])];
    await Promise.allSettled(users.map((of, i) => push(pushes, i + 1, of)));
    expect(await Promise.all([count('a'), count('b')])).toEqual([41, 0]);
    await process().recover({ atStart: true });
    expect(await Promise.all([count('a'), count('b')])).toEqual([41, 1]);
  });

  it('counts once when one with many keys goes on while one with an earlier id is recorded', async () => {
    const { promise: reached, resolve: goOn } = Promise.withResolvers<undefined>();
    const first = Array.from({ length: 512 }, (_, i) => `c${i}`);
    const late = push(
      process((id) => (id.includes('sc0') ? reached : undefined)),
      90,
      [...first, 'a'],
    );
    await until(async () => (await count('c1')) === 1);
    const broken = process((id) => (id.includes('sb') ? full : undefined));
    await expect(push(broken, 1, ['a', 'b'])).rejects.toMatchObject({ code: 'DISK_FULL' });
    for (let i = 2; i <= 40; i++) await push(process(), i, ['a']);
    goOn(undefined);
    await late;
    await process().recover({ atStart: true });
    expect(await Promise.all([count('a'), count('b')])).toEqual([41, 1]);
  });

  it('counts once when its caller comes back after the service finished it', async () => {
    const broken = process((id) => (id.includes('sb') ? full : undefined));
    await expect(push(broken, 1, ['a', 'b'])).rejects.toMatchObject({ code: 'DISK_FULL' });
    const pushes = process();
    await pushes.recover({ atStart: true });
    for (let i = 2; i <= 41; i++) await push(pushes, i, ['a']);
    expect(await push(pushes, 1, ['a', 'b'])).toEqual({ keyCount: 2 });
    expect(await Promise.all([count('a'), count('b')])).toEqual([41, 1]);
  });

  it.each([
    ['in the midst of keys', 'c0', 60_000, { status: 'rejected', reason: { code: 'UNAVAILABLE' } }],
    ['before other keys', 'a', 5000, { status: 'fulfilled' }],
  ])('counts once when its process stands still %s and another finishes it', async (_, hot, ms, outcome) => {
    const { promise: thawed, resolve: thaw } = Promise.withResolvers<undefined>();
    const first = Array.from({ length: 512 }, (_, i) => `c${i}`);
    const standing = process((id) => (id.includes('sc0') ? thawed : undefined));
    const frozen = push(standing, 1, [...first, 'a']);
    await until(async () => (await count('c1')) === 1);
    nowMs += ms;
    const pushes = process();
    expect(await pushes.recover({ atStart: ms < 10_000 })).toEqual({ finished: 1, failures: [] });
    for (let i = 2; i <= 41; i++) await push(pushes, i, [hot]);
    thaw(undefined);
    expect((await Promise.allSettled([frozen]))[0]).toMatchObject(outcome);
    expect(await count(hot)).toBe(41);
  });

  it('counts once when its caller comes back while the service finishes it', async () => {
    const users = [...Array.from({ length: 512 }, (_, i) => `c${i}`), 'a'];
    const broken = process((id) => (id.includes('sa') ? full : undefined));
    await expect(push(broken, 1, users)).rejects.toMatchObject({ code: 'DISK_FULL' });
    const [service, caller] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const tries = { c0: 0, a: 0 };
    const pushes = process((id) => {
      if (id.includes('sc0')) return ++tries.c0 === 2 ? caller.promise : undefined;
      return id.includes('sa') && ++tries.a === 1 ? service.promise : undefined;
    });
    const recovery = pushes.recover({ atStart: true });
    await until(() => tries.a === 1);
    const retry = push(pushes, 1, users);
    // As far as it comes beside the service.
    await new Promise((settle) => setTimeout(settle, 200));
    service.resolve(undefined);
    expect(await recovery).toEqual({ finished: 1, failures: [] });
    for (let i = 2; i <= 41; i++) await push(pushes, i, ['a']);
    caller.resolve(undefined);
    expect(await retry).toEqual({ keyCount: 513 });
    expect(await count('a')).toBe(41);
  });

  it('is left to a process that still works on it', async () => {
    const { promise: reached, resolve: goOn } = Promise.withResolvers<undefined>();
    const users = Array.from({ length: 513 }, (_, i) => `c${i}`);
    const slow = push(
      process(async (id) => {
        if (id.includes('sc0')) nowMs += 7_000;
        return id.includes('sc512') ? reached : undefined;
      }),
      ...[1, users],
    );
    await until(async () => (await store.pushes.find({})).items[0]?.version === 2);
    nowMs += 7_000;
    expect(await process().recover({ atStart: false })).toMatchObject({ finished: 0 });
    goOn(undefined);
    await slow;
    expect(await count('c512')).toBe(1);
  });

  it('does not keep the service from starting, nor other pushes from being finished, when it cannot be', async () => {
    const broken = process(() => full);
    for (const i of [1, 2, 3]) await expect(push(broken, i, ['a', 'b'])).rejects.toThrow();
    await store.pushes.change(`u:${'1'.padStart(32, '0')}`, (doc) => ({
      doc: { ...doc, rows: null, digest: `sha256:${'0'.repeat(64)}` },
    }));
    const pushes = process((id) => (id.includes('sb') ? tooLarge : undefined));
    const { finished, failures } = await pushes.recover({ atStart: true });
    expect(finished).toBe(2);
    expect(failures).toMatchObject([{ code: 'NOT_FOUND' }]);
    expect(await Promise.all([count('a'), count('b')])).toEqual([2, 0]);
    expect(await store.pushes.count({ applied: false })).toBe(1);
  });
});

describe('pushed rows and a new version of the view', () => {
  it('are carried over once, by however many jobs and through crashes', async () => {
    const pushes = process();
    for (let i = 1; i <= 120; i++) await push(pushes, i, ['a', 'b']);
    const next = { ...view, version: 2 };
    await store.views.change(name, () => ({ doc: next }));
    let left = 150;
    const dies = process(() => (left-- > 0 ? undefined : full));
    await Promise.allSettled([dies.carryOver(next), dies.carryOver(next)]);
    await Promise.all([
      pushes.carryOver(next),
      process().carryOver(next),
      ...Array.from({ length: 60 }, (_, i) => push(pushes, 121 + i, ['a'], next)),
    ]);
    expect(await Promise.all([count('a', 2), count('b', 2)])).toEqual([180, 120]);
  });

  it('reach the new version also when they were recorded after it was filled', async () => {
    const pushes = process();
    await push(pushes, 1, ['a']);
    const next = { ...view, version: 2 };
    await store.views.change(name, () => ({ doc: next }));
    await pushes.carryOver(next);
    // This call read the view before it changed.
    await push(pushes, 2, ['a'], view);
    expect(await count('a', 2)).toBe(2);
  });

  it('count once also when their caller goes on after they and many others were carried over', async () => {
    const { promise: reading, resolve: goOn } = Promise.withResolvers<void>();
    const pushes = process(undefined, reading);
    // Recorded, and online in the version it was pushed to; then it stands still.
    const slow = push(pushes, 1, ['a']);
    await until(async () => (await count('a')) === 1);
    for (let i = 2; i <= 60; i++) await push(process(), i, ['a']);
    const next = { ...view, version: 2 };
    await store.views.change(name, () => ({ doc: next }));
    const carried = pushes.carryOver(next);
    await process().carryOver(next);
    goOn();
    await Promise.all([slow, carried]);
    expect(await count('a', 2)).toBe(60);
  });
});
