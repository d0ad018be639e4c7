import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareVersions, judgeVersion } from './version.ts';

/** The name of the server's program file on this platform. */
export const binaryName = process.platform === 'win32' ? 'nats-server.exe' : 'nats-server';

/** Where fetched servers are kept: `${XDG_CACHE_HOME:-~/.cache}/millrace/nats-server/<version>/`. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'millrace', 'nats-server');
}

/** The newest usable cached server. */
export async function findCached(folder: string): Promise<{ path: string; version: string } | undefined> {
  const names = await readdir(folder).catch((): string[] => []);
  const versions = names.filter((name) => !name.startsWith('.') && judgeVersion(name).usable);
  for (const version of versions.sort(compareVersions).reverse()) {
    const path = join(folder, version, binaryName);
    if (await stat(path).catch(() => undefined)) return { path, version };
  }
  return undefined;
}

/** Moves a prepared folder into the cache in one step. One that is there already, by another process, is kept. */
export async function moveIntoCache(prepared: string, folder: string, version: string): Promise<string> {
  const target = join(folder, version);
  await rename(prepared, target).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST' && error.code !== 'EPERM') throw error;
    await rm(prepared, { recursive: true, force: true });
  });
  return join(target, binaryName);
}

const staleAfterMs = 5 * 60_000;

/**
 * Runs `work` in one process of this machine at a time. The lock is a folder with the owner's process id; the lock
 * of a dead process, or one older than five minutes, is broken.
 */
export async function withLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  await mkdir(folder, { recursive: true });
  const lock = join(folder, '.lock');
  while (!(await takeLock(lock))) {
    if (await isStale(lock)) await rm(lock, { recursive: true, force: true });
    else await sleep(200);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  await writeFile(join(lock, 'pid'), String(process.pid));
  return true;
}

async function isStale(lock: string): Promise<boolean> {
  const made = await stat(lock).catch(() => undefined);
  if (!made) return false;
  const ageMs = Date.now() - made.mtimeMs;
  if (ageMs > staleAfterMs) return true;
  const pid = Number(await readFile(join(lock, 'pid'), 'utf8').catch(() => ''));
  // A lock without a process id is one whose owner is about to write it, or died before it could.
  return pid > 0 ? !isAlive(pid) : ageMs > 2_000;
}

/** Whether a process with this id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
