import type { Filter } from 'mongodb';
import { createEventPage } from '../page.ts';
import type { EventLog } from '../port.ts';
import type { Database } from './database.ts';
import { guard } from './faults.ts';
import type { Mover } from './mover.ts';
import { type StoredEvent, toEvent } from './stored.ts';

/** The event log of a MongoDB database. Reading it first moves what waits in the documents. */
export function createEventLog(database: Database, mover: Mover): EventLog {
  const { events, meta } = database;
  return {
    read: ({ after, limit, project, types }) =>
      guard(async () => {
        await mover.move();
        const filter: Filter<StoredEvent> = {
          _id: { $gt: after },
          ...(project !== undefined && { project }),
          ...(types !== undefined && { type: { $in: [...types] } }),
        };
        const page = createEventPage();
        // The server sends up to 16 MiB at once; what has no room on the page is let go.
        for await (const stored of events.find(filter).sort({ _id: 1 }).limit(limit))
          if (!page.add(toEvent(stored))) break;
        return page.events;
      }),
    has: (id) =>
      guard(async () => {
        await mover.move();
        return (await events.findOne({ id }, { projection: { _id: 1 } })) !== null;
      }),
    last: () =>
      guard(async () => {
        await mover.move();
        return mover.last();
      }),
    first: () =>
      guard(async () => {
        const oldest = await events.find().sort({ _id: 1 }).limit(1).toArray();
        return oldest[0]?._id ?? (await mover.last()) + 1;
      }),
    onCommit: (wake) => mover.onEvents(wake),
    // Alone: an event that was moved but still waits in its document must not be taken for a new one.
    trim: (upTo) =>
      mover.alone(async () => {
        const value = Math.min(upTo, await mover.last());
        // First the number, so that it is not used again when all events are gone.
        await meta.updateOne({ _id: 'trimmed' }, { $max: { value } }, { upsert: true });
        await events.deleteMany({ _id: { $lte: value } });
      }),
  };
}
