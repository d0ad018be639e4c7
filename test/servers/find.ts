import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A server that a test can use and what it is, or why there is none. */
export type Found<S> =
  | { readonly kind: string; readonly start: () => Promise<S> }
  | { readonly reason: string };

/** Where servers that are installed for tests are kept. */
export const cacheFolder = join(homedir(), '.cache', 'millrace');

/** A program on the PATH or in the cache. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), cacheFolder, join(cacheFolder, 'bin')];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
