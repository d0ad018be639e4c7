import { channel } from 'node:diagnostics_channel';
import { type CodedError, unavailable } from '@millrace/errors';
import type { Database } from './database.ts';
import { isFatal } from './faults.ts';

/** Where all writes of a file go through. */
export interface Writer {
  /**
   * Runs a write in the next group and answers after its commit. `act` is synchronous; what it throws undoes its own
   * changes only.
   */
  write<R>(act: () => R): Promise<R>;
  /** To be called by a write that recorded events: subscribers wake after the commit. */
  recordedEvents(): void;
  onEvents(wake: () => void): () => void;
  /** Why no write is accepted, if so. */
  refusal(): CodedError | undefined;
  /** Commits what waits and takes no more. */
  close(): void;
}

interface Waiting {
  readonly act: () => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Race points: written but not committed; committed but not answered. */
const beforeCommit = channel('millrace:documents.before-commit');
const afterCommit = channel('millrace:documents.after-commit');

/** Writes per commit; more wait for the next one, so that reads get their turn. */
const maxGroup = 1000;

/**
 * Group commit: the writes that arrive in one turn of the event loop share one transaction and so one fsync. The
 * transaction begins and ends without giving way, hence reads on the same connection see committed data only.
 */
export function createWriter(db: Database, onFatal: (error: CodedError) => void): Writer {
  const queue: Waiting[] = [];
  let refused: CodedError | undefined;
  let eventsInGroup = false;
  const wakes = new Set<() => void>();

  function flush(): void {
    const group = queue.splice(0, maxGroup);
    if (group.length === 0) return;
    if (queue.length > 0) setImmediate(flush);
    eventsInGroup = false;
    const outcomes = commit(group);
    group.forEach((waiting, i) => {
      const outcome = outcomes[i]!;
      if ('error' in outcome) waiting.reject(outcome.error);
      else waiting.resolve(outcome.value as never);
    });
    if (eventsInGroup) for (const wake of wakes) wake();
  }

  /** Runs a group; when it cannot be committed, every write of it has that error. */
  function commit(group: readonly Waiting[]): Outcome[] {
    try {
      if (refused) throw refused;
      db.exec('BEGIN IMMEDIATE');
      const outcomes = group.map(attempt);
      beforeCommit.publish(group.length);
      db.exec('COMMIT');
      afterCommit.publish(group.length);
      return outcomes;
    } catch (error) {
      eventsInGroup = false;
      undo('ROLLBACK');
      if (isFatal(error) && !refused) {
        refused = error;
        onFatal(error);
      }
      return group.map(() => ({ error }));
    }
  }

  function attempt({ act }: Waiting): Outcome {
    db.exec('SAVEPOINT one');
    try {
      const value = act();
      db.exec('RELEASE one');
      return { value };
    } catch (error) {
      // A full disk or an I/O error ends the whole transaction; then there is no savepoint to go back to.
      if (!db.inTransaction() || isFatal(error)) throw error;
      db.exec('ROLLBACK TO one');
      db.exec('RELEASE one');
      return { error };
    }
  }

  function undo(statement: string): void {
    try {
      if (db.inTransaction()) db.exec(statement);
    } catch {
      // What led here is the error that the callers get.
    }
  }

  return {
    write: (act) =>
      new Promise((resolve, reject) => {
        if (refused) return reject(refused);
        if (queue.length === 0) setImmediate(flush);
        queue.push({ act, resolve, reject });
      }),
    recordedEvents() {
      eventsInGroup = true;
    },
    onEvents(wake) {
      wakes.add(wake);
      return () => wakes.delete(wake);
    },
    refusal: () => refused,
    close() {
      while (queue.length > 0) flush();
      refused ??= unavailable('the document store (it is closed)');
      wakes.clear();
    },
  };
}
