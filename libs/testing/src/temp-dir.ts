import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { protect } from './guard.ts';

/** A folder that goes away. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
  remove(): Promise<void>;
}

/** Makes a temporary folder; it is removed by `remove`, at the end of an `await using`, or when the process ends. */
export function tempDir(prefix = 'millrace-'): TempDir {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const release = protect('folder', path);
  const remove = async () => {
    await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    release();
  };
  return { path, remove, [Symbol.asyncDispose]: remove };
}
