import { CodedError, isCoded, unavailable } from '@millrace/errors';

/** SQLite's primary result codes that mean something to a caller. Source: sqlite.org/rescode.html */
const result = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notDatabase: 26,
} as const;

interface SqliteError extends Error {
  readonly errcode: number;
}

/** A database and what messages call it. */
export interface NamedFile {
  readonly name: string;
  readonly file: string;
}

/** Turns an error of node:sqlite into a coded one; others pass. Its message travels, so the path is in its cause, for the log. */
export function mapFault(caught: unknown, { name, file }: NamedFile): unknown {
  if (caught instanceof Error && 'code' in caught && caught.code === 'ERR_INVALID_STATE')
    return unavailable('the document store (it is closed)', { cause: caught });
  if (!isSqliteError(caught)) return caught;
  const told = { cause: new Error(`${file}: ${caught.message}`, { cause: caught }) };
  switch (caught.errcode & 0xff) {
    case result.full: {
      const message = 'the storage has no space left; reads still work; free some and retry';
      return new CodedError('resource_exhausted', 'DISK_FULL', message, { cause: caught });
    }
    case result.busy:
    case result.locked:
      return unavailable('the document store (another process is writing)', { cause: caught });
    case result.ioError:
      return diskFailed(caught);
    case result.corrupt:
    case result.notDatabase: {
      const message = `${name} is damaged or not a database; run millrace doctor --deep, and restore it from a backup`;
      return new CodedError('data_loss', 'STORE_CORRUPT', message, told);
    }
    case result.cannotOpen:
    case result.readOnly: {
      const message = `${name} cannot be opened for writing; check that the service may write its file and folder, which the log names, then run millrace doctor --deep`;
      return new CodedError('failed_precondition', 'WRONG_STATE', message, told);
    }
    default:
      return caught;
  }
}

/** The error of a disk that did not take or confirm a write. */
export function diskFailed(cause: unknown): CodedError {
  const message = 'the disk did not confirm a write; the store takes no more until the service is restarted';
  return new CodedError('unavailable', 'STORE_FAILED', message, { cause });
}

/**
 * Whether the store must stop writing. After a failed fsync the kernel may have dropped the pages and would report
 * success to the next fsync, so trying again would acknowledge writes that are lost.
 */
export function isFatal(mapped: unknown): mapped is CodedError {
  return isCoded(mapped, 'STORE_FAILED') || isCoded(mapped, 'STORE_CORRUPT');
}

/** Whether SQLite could not read its file, as it is damaged, the disk fails, or it is gone. */
export function isUnsound(caught: unknown): caught is Error {
  const unsound: number[] = [result.ioError, result.corrupt, result.cannotOpen, result.notDatabase];
  return isSqliteError(caught) && unsound.includes(caught.errcode & 0xff);
}

function isSqliteError(caught: unknown): caught is SqliteError {
  return caught instanceof Error && 'errcode' in caught && typeof caught.errcode === 'number';
}
