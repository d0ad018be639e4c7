import type { Leases } from '../port.ts';
import type { Database } from './database.ts';
import { guard, isDuplicate } from './faults.ts';

/**
 * Leases in a MongoDB database. The server's clock decides: the first write has it note its time in the lease, the
 * second takes the lease if it is still as it was read.
 */
export function createLeases({ leases }: Database): Leases {
  async function look(name: string) {
    const fresh = { owner: '', token: 0, until: new Date(0) };
    const update = { $currentDate: { seen: true as const }, $setOnInsert: fresh };
    return leases.findOneAndUpdate({ _id: name }, update, { upsert: true, returnDocument: 'after' });
  }
  return {
    acquire: (name, owner, durationMs) =>
      guard(async () => {
        // Two that insert it at once: the second finds it there.
        const lease = await look(name).catch((caught) =>
          isDuplicate(caught) ? look(name) : Promise.reject(caught),
        );
        if (!lease) return undefined;
        const isHeld = lease.until > lease.seen;
        if (isHeld && lease.owner !== owner) return undefined;
        // A lease that ran out gets a new token even for its old holder: others may have acted in between.
        const token = lease.token + (isHeld ? 0 : 1);
        const asRead = { _id: name, owner: lease.owner, token: lease.token, until: lease.until };
        const until = new Date(lease.seen.getTime() + durationMs);
        const taken = await leases.updateOne(asRead, { $set: { owner, token, until } });
        return taken.matchedCount === 1 ? { token } : undefined;
      }),
    release: (name, owner) =>
      guard(async () => {
        await leases.updateOne({ _id: name, owner }, { $set: { until: new Date(0) } });
      }),
  };
}
