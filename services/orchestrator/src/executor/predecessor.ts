import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive, startOf } from './process-identity.ts';

/**
 * The name of the process that used this folder before, if it is dead, so that its successor need not wait for its
 * leases to run out. Notes that `owner` uses it now.
 */
export async function deadPredecessor(folder: string, owner: string): Promise<string | undefined> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, 'instance.json');
  // A note that was being written at a power cut says nothing; the leases then run out by themselves.
  const before = await readFile(path, 'utf8')
    .then((text) => JSON.parse(text) as { owner: string; pid: number; start: string })
    .catch(() => undefined);
  await writeFile(path, JSON.stringify({ owner, pid: process.pid, start: startOf(process.pid) ?? '' }));
  return before && !isAlive(before) ? before.owner : undefined;
}
