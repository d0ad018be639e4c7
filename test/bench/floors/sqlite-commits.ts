/**
 * Bare SQLite in a process of its own: transactions of one insert of so many bytes, one after the other, each synced to
 * the disk. Arguments: file. Messages in: { bytes, seconds }; out: transactions per second.
 */
import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

const db = new DatabaseSync(process.argv[2] ?? ':memory:');
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
db.exec('CREATE TABLE IF NOT EXISTS rows(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)');
const insert = db.prepare('INSERT INTO rows(bytes) VALUES (?)');

process.on('message', ({ bytes, seconds }: { bytes: number; seconds: number }) => {
  const data = randomBytes(bytes);
  const begun = performance.now();
  let done = 0;
  while (performance.now() - begun < seconds * 1000) {
    insert.run(data);
    done += 1;
  }
  process.send?.(done / ((performance.now() - begun) / 1000));
});
process.stdout.write('{"ready":true}\n');
