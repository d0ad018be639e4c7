import { keptMarks } from '../marks.ts';
import type { Database } from './database.ts';

/** Whether a document took one of these writes already. */
export function hasMark(db: Database, collection: string, id: string, marks: readonly string[]): boolean {
  const sql = 'SELECT 1 FROM marks WHERE collection = ? AND id = ? AND mark = ?';
  return marks.some((mark) => db.one(sql, collection, id, mark) !== undefined);
}

/** Remembers a write. Every 64th version the oldest marks beyond the kept number go. */
export function putMarks(
  db: Database,
  collection: string,
  id: string,
  version: number,
  marks: readonly string[],
): void {
  for (const mark of marks)
    db.run(
      'INSERT OR IGNORE INTO marks(collection, id, mark, version) VALUES (?, ?, ?, ?)',
      collection,
      id,
      mark,
      version,
    );
  if (marks.length === 0 || version % 64 !== 0) return;
  db.run(
    `DELETE FROM marks WHERE collection = ?1 AND id = ?2 AND mark IN (
      SELECT mark FROM marks WHERE collection = ?1 AND id = ?2 ORDER BY version DESC LIMIT -1 OFFSET ${keptMarks})`,
    collection,
    id,
  );
}

/** Forgets a removed document's marks. */
export function removeMarks(db: Database, collection: string, id: string): void {
  db.run('DELETE FROM marks WHERE collection = ? AND id = ?', collection, id);
}
