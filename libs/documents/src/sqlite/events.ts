import { createEventPage } from '../page.ts';
import type { EventDraft, EventLog, RecordedEvent } from '../port.ts';
import type { Database, Row } from './database.ts';
import type { Writer } from './writer.ts';

/** Appends events to the log; to be called within a write. */
export function appendEvents(db: Database, events: readonly EventDraft[]): void {
  for (const event of events)
    db.run(
      `INSERT INTO events(id, type, project, resource, time, data, traceparent)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM events WHERE id = ?1)`,
      event.id,
      event.type,
      event.project,
      event.resource,
      event.timeMs,
      event.data,
      event.traceparent ?? null,
    );
}

/** The event log of a SQLite file. Its sequence numbers come from the commit itself, so they have no gaps. */
export function createEventLog(db: Database, writer: Writer): EventLog {
  const last = () => (db.one(`SELECT seq FROM sqlite_sequence WHERE name = 'events'`)?.seq as number) ?? 0;
  return {
    read({ after, limit, project, types }) {
      const terms = ['sequence > ?'];
      const values: (string | number)[] = [after];
      if (project !== undefined) {
        terms.push('project = ?');
        values.push(project);
      }
      if (types !== undefined) {
        terms.push(`type IN (${types.map(() => '?').join(', ')})`);
        values.push(...types);
      }
      const sql = `SELECT * FROM events WHERE ${terms.join(' AND ')} ORDER BY sequence LIMIT ?`;
      return writer.read(() => {
        const page = createEventPage();
        db.each((row) => page.add(toEvent(row)), sql, ...values, limit);
        return page.events;
      });
    },
    has: (id) => writer.read(() => db.one('SELECT 1 FROM events WHERE id = ?', id) !== undefined),
    last: () => writer.read(last),
    first: () =>
      writer.read(
        () => (db.one('SELECT min(sequence) AS first FROM events')?.first as number | null) ?? last() + 1,
      ),
    onCommit: (wake) => writer.onEvents(wake),
    trim: (upTo) => writer.write(() => void db.run('DELETE FROM events WHERE sequence <= ?', upTo)),
  };
}

function toEvent(row: Row): RecordedEvent {
  return {
    sequence: row.sequence as number,
    id: row.id as string,
    type: row.type as string,
    project: row.project as string,
    resource: row.resource as string,
    timeMs: row.time as number,
    data: row.data as Uint8Array,
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent as string }),
  };
}
