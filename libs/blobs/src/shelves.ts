import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '@millrace/errors';
import type { Digest } from './port.ts';

/** The folders in which blobs lie, in order: each the first two digits of its blobs. */
export async function shelvesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^[0-9a-f]{2}$/.test(name)).sort();
}

/** What lies on a shelf, in order. */
export async function digestsOn(folder: string, shelf: string): Promise<Digest[]> {
  const names = (await readdir(join(folder, shelf))).filter((name) => /^[0-9a-f]{64}$/.test(name));
  return names.sort().map((name): Digest => `sha256:${name}`);
}

/** What lies in a folder, by its names alone. Shelves that cannot be read are passed over and told of at the end. */
export async function* namedIn(folder: string): AsyncGenerator<{ readonly digest: Digest }> {
  let failure: CodedError | undefined;
  for (const shelf of await shelvesOf(folder)) {
    let digests: Digest[] = [];
    try {
      digests = await digestsOn(folder, shelf);
    } catch (cause) {
      const message = `the blobs whose digests begin with sha256:${shelf} cannot be listed; mend what holds them`;
      failure ??= new CodedError('data_loss', 'BLOB_UNREADABLE', message, { cause });
    }
    for (const digest of digests) yield { digest };
  }
  if (failure) throw failure;
}
