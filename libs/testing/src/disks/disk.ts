import { mkdirSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '../temp-dir.ts';
import { command, mount, whyNot } from './mount.ts';

/** A disk whose power can be cut. */
export interface TestDisk extends AsyncDisposable {
  /** The folder at which it is mounted. */
  readonly path: string;
  /**
   * Cuts the power: gives the disk as it is after the reboot, with what had reached it and nothing of what the kernel
   * still held in memory, and removes this one. End the processes that use it before, with SIGKILL.
   */
  cut(): Promise<TestDisk>;
  remove(): Promise<void>;
}

/**
 * Mounts an ext4 file system in a file. The page cache of the inner file system never gets into the file unless it is
 * synced, so a copy of the file is what a power cut leaves; mounting the copy replays its journal, as a reboot does.
 * Throws where mounting is not permitted; see `missingDisk`.
 */
export async function startDisk(sizeMib = 192): Promise<TestDisk> {
  return onImage(async (image) => {
    await writeFile(image, '');
    await truncate(image, sizeMib * 1024 * 1024);
    await command('mkfs.ext4', '-q', '-F', image);
  });
}

async function onImage(make: (image: string) => Promise<void>): Promise<TestDisk> {
  const folder = tempDir('millrace-disk-');
  const [image, path] = [join(folder.path, 'image'), join(folder.path, 'mount')];
  mkdirSync(path);
  try {
    await make(image);
    // By default ext4 writes all it holds every five seconds: a slow test would find what nobody synced.
    const unmount = await mount(path, '-o', 'loop,commit=600', image);
    const remove = async () => {
      await unmount();
      await folder.remove();
    };
    const cut = async () => {
      const after = await onImage((copy) => command('cp', '--sparse=always', image, copy));
      await remove();
      return after;
    };
    return { path, cut, remove, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await folder.remove();
    throw error;
  }
}

/** Why `startDisk` does not work on this machine; undefined when it does. */
export function missingDisk(): Promise<string | undefined> {
  return whyNot(() => startDisk(8));
}
