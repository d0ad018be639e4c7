import { readFileSync } from 'node:fs';

/** Why the memory of other processes cannot be read here; undefined when it can. */
export const memoryUnreadable = async (): Promise<string | undefined> =>
  process.platform === 'linux' ? undefined : 'reads the memory of processes from /proc, which only Linux has';

/** The resident memory of a process, in MiB; 0 when it has ended. */
export function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(statusOf(pid))?.[1] ?? 0) / 1024;
}

/** Looks at the memory of a process again and again until it is stopped; answers the most that was seen, in MiB. */
export function watchMemory(pid: number): () => number {
  let most = residentMb(pid);
  const timer = setInterval(() => {
    most = Math.max(most, residentMb(pid));
  }, 100);
  return () => {
    clearInterval(timer);
    return most;
  };
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}
