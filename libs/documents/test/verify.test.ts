import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { tempDir } from '@millrace/testing';
import { expect, test } from 'vitest';
import { defineCollection, openDocuments } from '../src/index.ts';
import { verifyFile } from '../src/sqlite/verify.ts';

const spec = defineCollection({
  name: 'notes',
  fields: { author: (doc: { author: string }) => doc.author },
  indexes: [['author']],
});

test('a store that is whole says nothing, one with a flipped bit says what contradicts itself', async () => {
  await using folder = tempDir();
  const file = join(folder.path, 'notes.db');
  const open = () => openDocuments({ url: `sqlite:${file}`, collections: [spec] });
  const whole = await open();
  for (let n = 0; n < 50; n++) await whole.collection(spec).insert(`n${n}`, { author: `author ${n % 7}` });
  expect(await whole.verify()).toEqual([]);
  await whole.close();
  flipInIndex(file);
  const damaged = await open();
  expect((await damaged.verify()).join()).toMatch(/missing from index|wrong # of entries|malformed/);
  await damaged.close();
});

test('a store whose file cannot be checked at all says so', async () => {
  await using folder = tempDir();
  const file = join(folder.path, 'notes.db');
  const store = await openDocuments({ url: `sqlite:${file}`, collections: [spec] });
  await store.close();
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(7, 0, 100));
  const [contradiction] = await verifyFile({ name: 'the document store', file: file });
  expect(contradiction).toBe('it cannot be checked: file is not a database');
});

/** Flips a bit in the last key of the collection's index; cells grow from the end of a page. */
function flipInIndex(file: string): void {
  const db = new DatabaseSync(file);
  const { page_size: pageSize } = db.prepare('PRAGMA page_size').get() as { page_size: number };
  const { rootpage } = db
    .prepare(`SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND name LIKE 'x_notes%'`)
    .get() as { rootpage: number };
  db.close();
  const bytes = readFileSync(file);
  const at = rootpage * pageSize - 2;
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
}
