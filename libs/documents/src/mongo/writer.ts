import { CodedError } from '@millrace/errors';
import { isDuplicate, isInDoubt, isOversize, mapFault } from './faults.ts';
import type { Stored } from './stored.ts';

/** How often a write is tried against others that change the same document. */
const maxConflicts = 200;
/** For how long a write whose answer was lost is followed up. */
const maxDoubtMs = 20_000;

/**
 * One compare-and-set: what it makes of the document it read. `write` is true when it met the document as it was
 * read; without it nothing is to be written.
 */
export type Attempt<R> = (before: Stored | undefined) => {
  readonly write?: () => Promise<boolean>;
  readonly result: R;
};

/**
 * Reads, decides and writes until the write meets the document it was decided on. A write whose answer was lost
 * (elections, broken connections) is looked up by its id in the document before it is tried again.
 */
export async function compareAndSet<R>(
  documents: { findOne(filter: { _id: string }): Promise<Stored | null> },
  id: string,
  writeId: string,
  attempt: Attempt<R>,
  hooks: { readonly done: (now: Stored) => R; readonly makeRoom: () => Promise<void> },
): Promise<R> {
  let doubtSince: number | undefined;
  let madeRoom = false;
  for (let conflicts = 0; conflicts < maxConflicts; ) {
    try {
      const before = (await documents.findOne({ _id: id })) ?? undefined;
      if (doubtSince !== undefined && before?.writes.includes(writeId)) return hooks.done(before);
      const decided = attempt(before);
      if (!decided.write || (await decided.write())) return decided.result;
      conflicts += 1;
    } catch (caught) {
      if (isDuplicate(caught)) conflicts += 1;
      else if (isOversize(caught) && !madeRoom) {
        madeRoom = true;
        await hooks.makeRoom();
      } else if (isInDoubt(caught)) {
        doubtSince ??= Date.now();
        if (Date.now() - doubtSince > maxDoubtMs) throw outcomeUnknown(id, caught);
      } else throw mapFault(caught);
    }
    await pause(conflicts);
  }
  const message = `${id} is being changed by too many others at once; retry`;
  throw new CodedError('aborted', 'VERSION_CONFLICT', message, { details: { id } });
}

function outcomeUnknown(id: string, cause: unknown): CodedError {
  const message = `whether ${id} was written is not known, the document store cannot be reached; retry with the same request_id`;
  return new CodedError('unavailable', 'UNAVAILABLE', message, { cause });
}

/** Waits a random while that grows with the number of conflicts. */
function pause(conflicts: number): Promise<void> {
  const limitMs = Math.min(100, 2 ** Math.min(conflicts, 7));
  return new Promise((resolve) => setTimeout(resolve, Math.random() * limitMs));
}

/** Runs what is given for one key one after another: writers of one process do not contend with each other. */
export function createQueue(): <R>(key: string, act: () => Promise<R>) => Promise<R> {
  const tails = new Map<string, Promise<unknown>>();
  return (key, act) => {
    const result = (tails.get(key) ?? Promise.resolve()).then(act, act);
    const tail = result.catch(() => {});
    tails.set(key, tail);
    void tail.then(() => {
      if (tails.get(key) === tail) tails.delete(key);
    });
    return result;
  };
}
