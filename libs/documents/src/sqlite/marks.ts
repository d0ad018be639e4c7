import { keptMarks } from '../marks.ts';
import type { Database } from './database.ts';

/** Whether a document took one of these writes already. */
export function hasMark(db: Database, collection: string, id: string, marks: readonly string[]): boolean {
  const sql = 'SELECT 1 FROM marks WHERE collection = ? AND id = ? AND mark = ?';
  return marks.some((mark) => db.one(sql, collection, id, mark) !== undefined);
}

/** How many marks gather beyond the kept number before the oldest go together. */
const slack = 64;

/** Remembers a write, whether it changed anything or not. The oldest marks beyond the kept number go in time. */
export function putMarks(db: Database, collection: string, id: string, marks: readonly string[]): void {
  for (const mark of marks) {
    const newest = db.one(
      'SELECT max(place) AS place FROM marks WHERE collection = ? AND id = ?',
      collection,
      id,
    );
    const place = Number(newest?.place ?? 0) + 1;
    const sql = 'INSERT INTO marks(collection, id, mark, place) VALUES (?, ?, ?, ?)';
    db.run(sql, collection, id, mark, place);
    if (place % slack !== 0) continue;
    const old = 'DELETE FROM marks WHERE collection = ? AND id = ? AND place <= ?';
    db.run(old, collection, id, place - keptMarks);
  }
}

/** Forgets a removed document's marks. */
export function removeMarks(db: Database, collection: string, id: string): void {
  db.run('DELETE FROM marks WHERE collection = ? AND id = ?', collection, id);
}
