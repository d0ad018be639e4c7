import { channel } from 'node:diagnostics_channel';
import { type CodedError, unavailable } from '@millrace/errors';
import type { Database } from './database.ts';
import { isFatal } from './faults.ts';
import type { LogSync } from './log-sync.ts';

/** Where all access to a file goes through. */
export interface Writer {
  /**
   * Runs a write in the next group and answers when it is on the disk. `act` is synchronous; what it throws undoes its
   * own changes only.
   */
  write<R>(act: () => R): Promise<R>;
  /** Runs a read at once, and answers when all that it can have seen is on the disk. */
  read<R>(act: () => R): Promise<R>;
  /** To be called by a write that recorded events: subscribers wake when they are on the disk. */
  recordedEvents(): void;
  onEvents(wake: () => void): () => void;
  /** Commits what waits and takes no more. */
  close(): Promise<void>;
}

export interface WriterOptions {
  readonly db: Database;
  /** Undefined for a database in memory: its commits are as durable as they get. */
  readonly log: LogSync | undefined;
  /** Called once when the store must not be written any more. */
  readonly onFatal: (error: CodedError) => void;
}

interface Waiting {
  readonly act: () => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** Race points: written but not committed; committed, but neither synced nor answered. */
const beforeCommit = channel('millrace:documents.before-commit');
const afterCommit = channel('millrace:documents.after-commit');

/** Writes per commit; more wait for the next one, so that reads get their turn. */
const maxGroup = 1000;

/**
 * Group commit: the writes that arrive while the group before is on its way to the disk share one transaction and one
 * fsync, which runs on another thread. The transaction begins and ends without giving way, hence reads on the same
 * connection see committed data only; what is committed and not yet synced they may see, but not tell before it is.
 */
export function createWriter({ db, log, onFatal }: WriterOptions): Writer {
  const queue: Waiting[] = [];
  const wakes = new Set<() => void>();
  let running: Promise<void> | undefined;
  let syncing: Promise<void> | undefined;
  let refused: CodedError | undefined;
  let closing = false;
  let eventsInGroup = false;

  /** Writes group after group until nobody waits. */
  async function run(): Promise<void> {
    // The writes of this turn of the event loop come along; and between groups other things get their turn.
    while (queue.length > 0) {
      await new Promise(setImmediate);
      await writeGroup(queue.splice(0, maxGroup));
    }
    running = undefined;
  }

  async function writeGroup(group: readonly Waiting[]): Promise<void> {
    eventsInGroup = false;
    let outcomes: readonly Outcome[];
    try {
      outcomes = commit(group);
      if (log) {
        syncing = log.sync();
        await syncing;
      }
    } catch (error) {
      eventsInGroup = false;
      if (isFatal(error) && !refused) {
        refused = error;
        onFatal(error);
      }
      outcomes = group.map(() => ({ error }));
    } finally {
      syncing = undefined;
    }
    for (const [i, waiting] of group.entries()) {
      const outcome = outcomes[i]!;
      if ('error' in outcome) waiting.reject(outcome.error);
      else waiting.resolve(outcome.value as never);
    }
    if (eventsInGroup) for (const wake of wakes) wake();
  }

  /** Runs a group in one transaction; throws when it cannot be committed. */
  function commit(group: readonly Waiting[]): readonly Outcome[] {
    if (refused) throw refused;
    try {
      db.run('BEGIN IMMEDIATE');
      const outcomes = group.map(attempt);
      beforeCommit.publish(group.length);
      db.run('COMMIT');
      afterCommit.publish(group.length);
      return outcomes;
    } catch (error) {
      undo();
      throw error;
    }
  }

  function attempt({ act }: Waiting): Outcome {
    db.run('SAVEPOINT one');
    try {
      const value = act();
      db.run('RELEASE one');
      return { value };
    } catch (error) {
      // A full disk or an I/O error ends the whole transaction; then there is no savepoint to go back to.
      if (!db.inTransaction() || isFatal(error)) throw error;
      db.run('ROLLBACK TO one');
      db.run('RELEASE one');
      return { error };
    }
  }

  function undo(): void {
    try {
      if (db.inTransaction()) db.run('ROLLBACK');
    } catch {
      // What led here is the error that the callers get.
    }
  }

  return {
    write: (act) =>
      new Promise((resolve, reject) => {
        if (refused) return reject(refused);
        if (closing) return reject(closed());
        queue.push({ act, resolve, reject });
        running ??= run();
      }),
    async read(act) {
      const value = act();
      await syncing;
      return value;
    },
    recordedEvents() {
      eventsInGroup = true;
    },
    onEvents(wake) {
      wakes.add(wake);
      return () => wakes.delete(wake);
    },
    async close() {
      closing = true;
      await running;
      wakes.clear();
    },
  };
}

function closed(): CodedError {
  return unavailable('the document store (it is closed)');
}
