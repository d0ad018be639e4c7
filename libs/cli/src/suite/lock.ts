import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrongState } from '@millrace/errors';

/** The file that says which process runs the suite of a data folder. */
export const lockFile = 'suite.lock';

interface Owner {
  readonly pid: number;
  /** When the process started, where the system tells: process ids are reused. */
  readonly started?: string;
}

/**
 * Takes the data folder for this process; the lock of a process that is gone is taken over. Returns how to give it back.
 * Throws SUITE_RUNNING when another process holds it.
 */
export function takeLock(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, lockFile);
  const own = `${path}.${process.pid}`;
  const started = startOf(process.pid);
  writeFileSync(own, JSON.stringify({ pid: process.pid, ...(started ? { started } : {}) }));
  try {
    for (;;) {
      if (tryLink(own, path)) return () => rmSync(path, { force: true });
      const owner = readOwner(path);
      if (owner && isRunning(owner)) {
        const text = `process ${owner.pid} already runs a suite on ${dataDir}; stop it first (Ctrl-C there, or kill ${owner.pid}), or use another --data-dir`;
        throw wrongState(text, 'SUITE_RUNNING', { details: { pid: String(owner.pid) } });
      }
      setAside(path, `${own}.stale`, owner);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

/** The process that runs a suite on a data folder; undefined when none does. */
export function lockOwner(dataDir: string): number | undefined {
  const owner = readOwner(join(dataDir, lockFile));
  return owner && isRunning(owner) ? owner.pid : undefined;
}

/** A link is made whole or not at all, so that nobody reads a lock without its owner. */
function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Renaming decides who of several takes over; one who moved a newer lock than it had read puts that back. */
function setAside(path: string, aside: string, judged: Owner | undefined): void {
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  const moved = readOwner(aside);
  if (moved && moved.pid !== judged?.pid && isRunning(moved)) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function readOwner(path: string): Owner | undefined {
  try {
    const owner = JSON.parse(readFileSync(path, 'utf8')) as Partial<Owner>;
    return typeof owner.pid === 'number' ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

function isRunning({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = startOf(pid);
  return started === undefined || now === undefined || now === started;
}

/** Field 22 of /proc/<pid>/stat, counted behind the name, which may hold spaces. Source: proc(5). */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
