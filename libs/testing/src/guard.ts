import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

let guard: ChildProcess | undefined;

/**
 * Tells the guard of something that must not outlive this process: a child process, a mount point or a temporary
 * folder. The guard is a small process that holds our pipe; when we end, however we end, kill -9 included, it removes
 * what is left. Returns how to take it off the guard's list.
 */
export function protect(kind: 'process' | 'mount' | 'folder', what: string | number): () => void {
  guard ??= startGuard();
  const pipe = guard.stdin;
  pipe?.write(`${JSON.stringify({ add: true, kind, what })}\n`);
  return () => void pipe?.write(`${JSON.stringify({ add: false, kind, what })}\n`);
}

function startGuard(): ChildProcess {
  const program = fileURLToPath(new URL('./guard-process.ts', import.meta.url));
  // A group of its own: Ctrl-C at a terminal must not reach it before it has done its work.
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  child.stdin.on('error', () => {});
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}
