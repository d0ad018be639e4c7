import type { Cursors } from '../port.ts';
import type { Database } from './database.ts';
import { guard } from './faults.ts';

/** Durable positions in a MongoDB database. */
export function createCursors({ cursors }: Database): Cursors {
  return {
    get: (name) => guard(async () => (await cursors.findOne({ _id: name }))?.position ?? 0),
    set: (name, position, { force = false } = {}) =>
      guard(async () => {
        const update = force ? { $set: { position } } : { $max: { position } };
        await cursors.updateOne({ _id: name }, update, { upsert: true });
      }),
  };
}
