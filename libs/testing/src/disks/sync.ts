import { spawn } from 'node:child_process';
import { protect } from '../guard.ts';
import { until } from '../until.ts';
import { command } from './mount.ts';

/** What becomes of a process's fsync: it fails with EIO, or it says that all is well and does nothing. */
export type SyncFault = 'fails' | 'lies';

const injections: Readonly<Record<SyncFault, string>> = { fails: 'error=EIO', lies: 'retval=0' };

/** A fault under way. */
export interface SpoiledSync extends AsyncDisposable {
  /** Ends it; the process goes on with an honest disk. */
  stop(): Promise<void>;
}

/**
 * Spoils every fsync and fdatasync of a running process, all its threads and children, from the return of this call
 * on. By strace; see `missingStrace`.
 */
export async function spoilSync(pid: number, fault: SyncFault): Promise<SpoiledSync> {
  const calls = 'fsync,fdatasync';
  const inject = `inject=${calls}:${injections[fault]}`;
  const args = ['-f', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject, '-p', String(pid)];
  const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const release = tracer.pid ? protect('process', tracer.pid) : () => {};
  const ended = new Promise<void>((resolve) => {
    tracer.once('close', () => resolve());
    tracer.once('error', () => resolve());
  });
  let said = '';
  let over = false;
  void ended.then(() => {
    over = true;
  });
  tracer.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const stop = async () => {
    tracer.kill('SIGTERM');
    await ended;
    release();
  };
  try {
    await until(() => over || said.includes('attached'), { what: `strace to attach to process ${pid}` });
    if (over) throw new Error(`strace did not attach to process ${pid}: ${said.trim()}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop, [Symbol.asyncDispose]: stop };
}

/** Why `spoilSync` does not work on this machine, found out by trying; undefined when it does. */
export async function missingStrace(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'strace needs Linux';
  const victim = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    await command('strace', '--version');
    await (await spoilSync(victim.pid!, 'lies')).stop();
    return undefined;
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return isAbsent ? 'strace is not installed' : 'strace may not attach to processes here';
  } finally {
    victim.kill('SIGKILL');
  }
}
