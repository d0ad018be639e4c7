import { type FileHandle, open } from 'node:fs/promises';
import { CodedError } from '@millrace/errors';

/** fsync that is never tried twice. */
export interface Sync {
  /** Throws STORE_FAILED once the disk did not confirm a write. */
  refuse(): void;
  file(handle: FileHandle): Promise<void>;
  folder(path: string): Promise<void>;
}

/**
 * After a failed fsync the kernel may have dropped what it held, and answers the next fsync with success: a store that
 * went on would acknowledge what is lost. So the first failure is the last: `onFatal` is told, and nothing more is taken.
 */
export function createSync(onFatal: (error: CodedError) => void): Sync {
  let failed: CodedError | undefined;

  async function once(sync: () => Promise<void>): Promise<void> {
    try {
      await sync();
    } catch (caught) {
      if (isSpace(caught)) throw caught;
      const message =
        'the disk did not confirm a write; the store takes no more until the service is restarted';
      const error = new CodedError('unavailable', 'STORE_FAILED', message, { cause: caught });
      if (!failed) onFatal(error);
      failed ??= error;
      throw error;
    }
  }

  return {
    refuse() {
      if (failed) throw failed;
    },
    file: (handle) => once(() => handle.sync()),
    async folder(path) {
      // Windows cannot open a folder to sync it; its renames are journaled.
      if (process.platform === 'win32') return;
      await using handle = await open(path, 'r');
      await once(() => handle.sync());
    },
  };
}

/** A full disk is known before anything is acknowledged: the file is given up, and room may be made. */
function isSpace(caught: unknown): boolean {
  const { code } = caught as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
