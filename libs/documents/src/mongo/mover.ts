import { newId } from '../id.ts';
import type { AnyCollectionSpec, Leases } from '../port.ts';
import type { Database } from './database.ts';
import { guard, isDuplicate } from './faults.ts';
import { type Moment, orderPending } from './order.ts';
import { toStoredEvent } from './stored.ts';

/** Moves events from the documents of their changes to the log. */
export interface Mover {
  /** Moves everything that was committed before the call, unless another process is at it for long. */
  move(): Promise<void>;
  /** Runs `act` while no other process moves events, after everything was moved. */
  alone<R>(act: () => Promise<R>): Promise<R>;
  /** To be called after a write that recorded events: subscribers wake and the events are moved soon. */
  recordedEvents(): void;
  onEvents(wake: () => void): () => void;
  last(): Promise<number>;
  close(): Promise<void>;
}

/** Documents with waiting events that one pass takes from each collection. */
const passSize = 200;
const leaseName = '_mover';
/** The lease only avoids double work; sequence numbers are kept unique by the key of the log. */
const leaseMs = 3000;

export function createMover(database: Database, specs: readonly AnyCollectionSpec[], leases: Leases): Mover {
  const { events, meta } = database;
  const owner = newId();
  const wakes = new Set<() => void>();
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let closed = false;

  /** The waiting events of every collection, oldest first. */
  const scan = (): Promise<Moment[]> =>
    Promise.all(
      specs.map(async (spec) => {
        const documents = await database
          .documents(spec)
          .find({ 'out.stamp': { $gt: '' } }, { projection: { out: 1, gone: 1, born: 1 } })
          .sort({ 'out.stamp': 1 })
          .limit(passSize)
          .toArray();
        return { spec, documents, complete: documents.length < passSize };
      }),
    );

  /** Moves what one look at the collections shows; false when nothing was waiting. */
  async function pass(): Promise<boolean> {
    const first = await scan();
    if (first.every((moment) => moment.documents.length === 0)) return false;
    const batch = orderPending(first, await scan());
    const ids = [...new Set(batch.map(({ event }) => event.id))];
    const moved = await events.find({ id: { $in: ids } }, { projection: { id: 1 } }).toArray();
    const known = new Set(moved.map((event) => event.id));
    let next = (await last()) + 1;
    const fresh = [];
    for (const { event } of batch) {
      if (known.has(event.id)) continue;
      known.add(event.id);
      fresh.push(toStoredEvent(next++, event));
    }
    try {
      // In order, each with the next number: if another process moves too, one of both stops at the first it meets.
      if (fresh.length > 0) await events.insertMany(fresh, { ordered: true });
    } catch (caught) {
      if (isDuplicate(caught)) return true;
      throw caught;
    }
    await forget(batch);
    return true;
  }

  /** Takes moved events out of their documents, and removed documents that have none left out of the database. */
  async function forget(batch: ReturnType<typeof orderPending>): Promise<void> {
    for (const spec of specs) {
      const byDocument = new Map<string, { gone: boolean; born: string; ids: string[] }>();
      for (const { moment, document, event } of batch) {
        if (moment.spec !== spec) continue;
        const entry = byDocument.get(document._id);
        if (entry) entry.ids.push(event.id);
        else
          byDocument.set(document._id, {
            gone: document.gone === true,
            born: document.born,
            ids: [event.id],
          });
      }
      if (byDocument.size === 0) continue;
      const writes = [...byDocument].flatMap(([_id, { gone, born, ids }]) => [
        { updateOne: { filter: { _id }, update: { $pull: { out: { id: { $in: ids } } } } } },
        ...(gone ? [{ deleteOne: { filter: { _id, born, gone: true as const, out: { $size: 0 } } } }] : []),
      ]);
      await database.documents(spec).bulkWrite(writes, { ordered: true });
    }
  }

  async function withLease<R>(act: () => Promise<R>): Promise<R | undefined> {
    // A holder that was killed keeps it until it runs out.
    for (const end = Date.now() + 2 * leaseMs; Date.now() < end; ) {
      if (await leases.acquire(leaseName, owner, leaseMs)) {
        try {
          return await act();
        } finally {
          await leases.release(leaseName, owner);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  }

  async function drain(): Promise<void> {
    while (await pass()) {
      // One look takes a bounded number of events.
    }
  }

  const run = () =>
    guard(async () => {
      const waiting = await scan();
      if (waiting.some((moment) => moment.documents.length > 0)) await withLease(drain);
    });

  async function move(): Promise<void> {
    // A run under way may have looked before the caller's events were there: it gets a run of its own, shared.
    if (!running) {
      running = run().finally(() => {
        running = undefined;
      });
      return running;
    }
    queued ??= running
      .catch(() => {})
      .then(() => {
        queued = undefined;
        return move();
      });
    return queued;
  }

  async function last(): Promise<number> {
    const newest = await events.find().sort({ _id: -1 }).limit(1).project<{ _id: number }>({ _id: 1 }).next();
    return newest?._id ?? Number((await meta.findOne({ _id: 'trimmed' }))?.value ?? 0);
  }

  return {
    move,
    alone: (act) =>
      guard(async () => {
        const result = await withLease(async () => {
          await drain();
          return { value: await act() };
        });
        if (!result) throw new Error('the lease of the event mover could not be had');
        return result.value;
      }),
    recordedEvents() {
      for (const wake of wakes) wake();
      // Events that stay are moved by the next write or read.
      if (!closed) setImmediate(() => void move().catch(() => {}));
    },
    onEvents(wake) {
      wakes.add(wake);
      return () => wakes.delete(wake);
    },
    last,
    async close() {
      closed = true;
      wakes.clear();
      await (queued ?? running)?.catch(() => {});
    },
  };
}
