import { mkdirSync } from 'node:fs';
import { open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '../temp-dir.ts';
import { mount, whyNot } from './mount.ts';

const mib = 1024 * 1024;

/** A folder on a small file system of its own that can be filled to the brim. */
export interface SmallDisk extends AsyncDisposable {
  /** Where to put data; the ballast lies elsewhere. */
  readonly path: string;
  freeBytes(): Promise<number>;
  /** Takes what is free, but for `leaveBytes`. @default 0 */
  fill(leaveBytes?: number): Promise<void>;
  /** Gives back what `fill` took. */
  free(): Promise<void>;
  remove(): Promise<void>;
}

/** Mounts a file system of so many MiB (in memory). Throws where that is not permitted; see `missingSmallDisk`. */
export async function startSmallDisk(sizeMib: number): Promise<SmallDisk> {
  const folder = tempDir('millrace-small-');
  const root = join(folder.path, 'mount');
  mkdirSync(root);
  const unmount = await mount(root, '-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'millrace-small');
  const path = join(root, 'data');
  mkdirSync(path);
  const ballast = join(root, 'ballast');
  const freeBytes = async () => {
    const { bavail, bsize } = await statfs(root);
    return bavail * bsize;
  };
  const remove = async () => {
    await unmount();
    await folder.remove();
  };
  return {
    path,
    freeBytes,
    async fill(leaveBytes = 0) {
      await using file = await open(ballast, 'a');
      // Others may write at the same time, so what is free is asked again and again.
      for (let rest = await freeBytes(); rest > leaveBytes; rest = await freeBytes())
        await file.write(Buffer.alloc(Math.min(rest - leaveBytes, mib), 1)).catch(refuseOther);
    },
    free: () => rm(ballast, { force: true }),
    remove,
    [Symbol.asyncDispose]: remove,
  };
}

function refuseOther(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error;
}

/** Why `startSmallDisk` does not work on this machine; undefined when it does. */
export function missingSmallDisk(): Promise<string | undefined> {
  return whyNot(() => startSmallDisk(1));
}
