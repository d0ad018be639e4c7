import type { Leases } from '../port.ts';
import type { Database } from './database.ts';
import type { Writer } from './writer.ts';

/** Leases in a SQLite file. All its users are on one machine, so that machine's clock is the store's time. */
export function createLeases(db: Database, writer: Writer, now: () => number): Leases {
  return {
    acquire: (name, owner, durationMs) =>
      writer.write(() => {
        const held = db.one('SELECT owner, token, until FROM leases WHERE name = ?', name);
        const time = now();
        const isHeld = held !== undefined && (held.until as number) > time;
        if (isHeld && held.owner !== owner) return undefined;
        // A lease that ran out gets a new token even for its old holder: others may have acted in between.
        const token = ((held?.token as number) ?? 0) + (isHeld ? 0 : 1);
        db.run(
          `INSERT INTO leases(name, owner, token, until) VALUES (?, ?, ?, ?)
           ON CONFLICT(name) DO UPDATE SET owner = excluded.owner, token = excluded.token, until = excluded.until`,
          name,
          owner,
          token,
          time + durationMs,
        );
        return { token };
      }),
    release: (name, owner) =>
      writer.write(
        () => void db.run('UPDATE leases SET until = 0 WHERE name = ? AND owner = ?', name, owner),
      ),
  };
}
