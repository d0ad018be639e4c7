import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { missingSmallDisk, startSmallDisk } from '@millrace/testing';
import { describe, expect, test } from 'vitest';
import { newId, openDocuments } from '../src/index.ts';
import { mapFault } from '../src/sqlite/faults.ts';
import { event, item, items, type Subject } from './subject.ts';

const noSmallDisk = await missingSmallDisk();

/** What only the SQLite adapter has to withstand: foreign files, full disks, disks that fail. */
export function sqliteFaults(subject: Subject): void {
  const freshFile = async () => (await subject.freshUrl()).slice('sqlite:'.length);
  const open = (file: string) => openDocuments({ url: `sqlite:${file}`, collections: [items] });

  describe(`faults: ${subject.name}`, () => {
    test('a file of a newer release is refused', async () => {
      const file = await freshFile();
      await (await open(file)).close();
      const db = new DatabaseSync(file);
      db.exec('PRAGMA user_version = 99');
      db.close();
      await expect(open(file)).rejects.toMatchObject({
        code: 'STORE_LAYOUT_NEWER',
        message: expect.stringContaining('start the newer release'),
      });
    });

    test("another program's database and a file that is none are refused and left alone", async () => {
      const file = await freshFile();
      mkdirSync(dirname(file), { recursive: true });
      const db = new DatabaseSync(file);
      db.exec('CREATE TABLE theirs(a)');
      await expect(open(file)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      expect(db.prepare('SELECT name FROM sqlite_schema').all()).toMatchObject([{ name: 'theirs' }]);
      db.close();
      writeFileSync(
        `${file}2`,
        'certainly not a database, but long enough to be read as the head of one'.repeat(20),
      );
      await expect(open(`${file}2`)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    });

    test('a damaged page and a read-only file are told by the name of the store, with the path in the cause alone', async () => {
      const file = await freshFile();
      const named = { url: `sqlite:${file}`, collections: [items], name: 'the document store of registry' };
      const whole = await openDocuments(named);
      await whole.collection(items).insert('a', item('g'), { emit: [event()] });
      await whole.close();
      spoilTable(file, 'events');
      const store = await openDocuments(named);
      const read = await store.events.read({ after: 0, limit: 10 }).catch((caught: unknown) => caught);
      await store.close();
      const readOnly = new DatabaseSync(file, { readOnly: true });
      const write = caughtOf(() => readOnly.exec('CREATE TABLE more(a)'));
      readOnly.close();
      for (const [error, code] of [
        [read, 'STORE_CORRUPT'],
        [mapFault(write, { ...named, file }), 'WRONG_STATE'],
      ] as const) {
        expect(error).toMatchObject({
          code,
          message: expect.stringMatching(/^the document store of registry /),
        });
        const { message, cause } = error as Error;
        expect(message).toContain('run millrace doctor --deep');
        expect(message).not.toContain(dirname(file));
        expect((cause as Error).message).toContain(file);
      }
    });

    test('an unknown kind of URL is refused', async () => {
      for (const url of ['postgres://x', 'sqlite:', ''])
        await expect(openDocuments({ url, collections: [] })).rejects.toMatchObject({
          code: 'INVALID_FIELD',
        });
    });

    test.skipIf(noSmallDisk)(
      'a full disk refuses writes, reads go on, and space that is freed is used',
      async () => {
        await using disk = await startSmallDisk(2);
        await disk.fill(900_000);
        const file = join(disk.path, 'store.db');
        const store = await open(file);
        const docs = store.collection(items);
        const big = { ...item('g'), note: 'x'.repeat(20_000) };
        const kept: string[] = [];
        const write = async () => {
          for (let i = 0; i < 200; i++) {
            const id = newId();
            await docs.insert(id, big, { emit: [event()] });
            kept.push(id);
          }
        };
        await expect(write()).rejects.toMatchObject({ code: 'DISK_FULL', kind: 'resource_exhausted' });
        expect(kept.length).toBeGreaterThan(3);
        expect((await docs.getMany(kept)).every((doc) => doc?.doc.note === big.note)).toBe(true);
        expect(await docs.count({ group: 'g' })).toBe(kept.length);
        expect(await store.events.last()).toBe(kept.length);
        await disk.free();
        await docs.insert('after', big);
        await store.check();
        await store.close();
        const again = await open(file);
        expect(await again.collection(items).count({})).toBe(kept.length + 1);
        await again.close();
      },
    );

    // Limits on the size of files are a POSIX thing.
    const posix = process.platform !== 'win32';
    test.skipIf(!posix)(
      'a write that the disk fails stops the store: no further write, a failing check, reads go on',
      async () => {
        const file = await freshFile();
        mkdirSync(dirname(file), { recursive: true });
        // A limit on the size of files makes the kernel refuse a write with an error that is not "no space".
        const script = `ulimit -f 1200; exec "$0" "$@"`;
        const child = join(import.meta.dirname, 'failing-child.ts');
        const run = spawn('sh', ['-c', script, process.execPath, child, `sqlite:${file}`], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let printed = '';
        run.stdout.on('data', (chunk: Buffer) => {
          printed += chunk;
        });
        await new Promise((resolve) => run.once('close', resolve));
        const report = JSON.parse(printed);
        expect(report).toMatchObject({
          write: 'STORE_FAILED',
          next: 'STORE_FAILED',
          check: 'STORE_FAILED',
          fatal: ['STORE_FAILED'],
        });
        expect(report.readable).toBe(report.acknowledged);
        const again = await open(file);
        expect(await again.collection(items).count({})).toBe(report.acknowledged);
        await again.close();
      },
    );
  });
}

/** Fills the first page of a table with what no page is. */
function spoilTable(file: string, table: string): void {
  const db = new DatabaseSync(file);
  const { page_size: size } = db.prepare('PRAGMA page_size').get() as { page_size: number };
  const found = db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(table);
  db.close();
  const page = Number(found?.rootpage);
  writeFileSync(file, readFileSync(file).fill(0xff, (page - 1) * size, page * size));
}

function caughtOf(act: () => void): unknown {
  try {
    act();
  } catch (caught) {
    return caught;
  }
  throw new Error('it threw nothing');
}
