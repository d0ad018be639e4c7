import type { Cursors } from '../port.ts';
import type { Database } from './database.ts';
import type { Writer } from './writer.ts';

/** Durable positions in a SQLite file. */
export function createCursors(db: Database, writer: Writer): Cursors {
  return {
    get: (name) =>
      writer.read(
        () => (db.one('SELECT position FROM cursors WHERE name = ?', name)?.position as number) ?? 0,
      ),
    set: (name, position, { force = false } = {}) =>
      writer.write(() => {
        const rule = force ? 'excluded.position' : 'max(position, excluded.position)';
        db.run(
          `INSERT INTO cursors(name, position) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET position = ${rule}`,
          name,
          position,
        );
      }),
  };
}
