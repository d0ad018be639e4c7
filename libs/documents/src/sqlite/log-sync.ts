import { open, realpath } from 'node:fs/promises';
import { diskFailed } from './faults.ts';

/** Brings committed transactions from the page cache to the disk. */
export interface LogSync {
  /** Settles when everything committed before the call is on the disk. Throws STORE_FAILED; then nothing may be written any more. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Syncs the write-ahead log of a file on a thread of the pool, as SQLite does itself at each commit with
 * `synchronous=FULL`, only without holding up the event loop meanwhile. The log must exist: SQLite makes it at the first
 * write and keeps it as long as the database is open. Source: sqlite.org/wal.html, "durability".
 */
export async function openLogSync(file: string): Promise<LogSync> {
  // The log stands beside the file itself, not beside a link to it. Windows syncs only what is open for writing.
  const log = await open(`${await realpath(file)}-wal`, 'r+');
  return {
    sync: () =>
      log.datasync().catch((cause: unknown) => {
        throw diskFailed(cause);
      }),
    close: () => log.close(),
  };
}
