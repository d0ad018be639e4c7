import { join } from 'node:path';
import { type DocumentStore, defineCollection, openDocuments } from '@millrace/documents';
import { tempDir } from '@millrace/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FeatureView } from '../src/domain/definition.ts';
import { createKeyCache } from '../src/online/key-cache.ts';
import { online, views } from '../src/store/collections.ts';
import { emptyDoc, emptySide, storeSide } from '../src/store/online-doc.ts';
import { keepViews } from '../src/store/view-cache.ts';

const dir = tempDir();
const others = defineCollection({ name: 'others', fields: {}, indexes: [] });
let [mine, theirs] = [] as unknown as [DocumentStore, DocumentStore];

// Two connections to one file, as of two processes.
beforeAll(async () => {
  const url = `sqlite:${join(dir.path, 'documents.db')}`;
  mine = await openDocuments({ url, collections: [online, views, others] });
  theirs = await openDocuments({ url, collections: [online, views, others] });
});

afterAll(async () => {
  await mine.close();
  await theirs.close();
  await dir.remove();
});

const doc = (key: string, rows: number) => ({
  ...emptyDoc('g', key),
  pushed: storeSide({
    layer: emptySide.layer,
    history: {
      entries: Array.from({ length: rows }, (_, i) => ({ timeUs: i, createdUs: null, cells: [] })),
      dropped: false,
    },
  }),
});

test('keys are read once while nobody else writes, and again when another process has written', async () => {
  const own = mine.collection(online);
  let reads = 0;
  const counted: typeof own = {
    ...own,
    getMany: (ids) => {
      reads += ids.length;
      return own.getMany(ids);
    },
  };
  const { foreignWrites } = mine;
  const cache = createKeyCache(counted, { maxKeys: 10, maxAgeMs: 0, now: () => 0, foreignWrites });
  const rowsOf = async (id: string) => (await cache.get([id, id]))[1]?.[1]?.history.entries.length;
  const before = await cache.moment();
  cache.put((await own.upsert('a', () => ({ doc: doc('a', 1) })))!, before);
  expect(await rowsOf('a')).toBe(1);
  expect(await rowsOf('none')).toBeUndefined();
  expect(await rowsOf('none')).toBeUndefined();
  expect(reads).toBe(1);
  await theirs.collection(online).upsert('a', () => ({ doc: doc('a', 2) }));
  expect(await rowsOf('a')).toBe(2);
  await theirs.collection(online).upsert('none', () => ({ doc: doc('none', 3) }));
  expect(await rowsOf('none')).toBe(3);
});

test('what another process wrote between a write and its taking is not missed', async () => {
  const own = mine.collection(online);
  const { foreignWrites } = mine;
  const cache = createKeyCache(own, { maxKeys: 10, maxAgeMs: 0, now: () => 0, foreignWrites });
  const before = await cache.moment();
  const written = await own.upsert('b', () => ({ doc: doc('b', 1) }));
  await theirs.collection(online).upsert('b', () => ({ doc: doc('b', 2) }));
  await cache.get(['others']);
  cache.put(written!, before);
  const [state] = await cache.get(['b']);
  expect(state?.[1]?.history.entries.length).toBe(2);
});

test('a view is kept until somebody writes one, and goes when it is removed', async () => {
  const view = (version: number) => ({ project: 'p', view: 'v', version }) as FeatureView;
  const kept = keepViews(mine.collection(views), mine.foreignWrites);
  const name = 'projects/p/featureViews/v';
  const version = async () => (await kept.known([name]))[0]?.version;
  expect(await version()).toBeUndefined();
  await kept.insert(name, view(1));
  const [first] = await kept.known([name]);
  expect((await kept.known([name]))[0]).toBe(first);
  await kept.change(name, () => ({ doc: view(2) }));
  expect(await version()).toBe(2);
  await theirs.collection(views).change(name, () => ({ doc: view(3) }));
  expect(await version()).toBe(3);
  // A read that began before a write does not outlive it.
  await theirs.collection(others).upsert('x', () => ({ doc: {} }));
  const reading = kept.known([name]);
  await kept.change(name, () => ({ doc: view(4) }));
  await reading;
  expect(await version()).toBe(4);
  await kept.remove(name);
  expect(await version()).toBeUndefined();
});
