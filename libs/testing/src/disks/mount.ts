import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { protect } from '../guard.ts';
import { until } from '../until.ts';

const execute = promisify(execFile);

/** Runs a program of the system to its end; throws with what it said when it fails. */
export async function command(program: string, ...args: string[]): Promise<void> {
  await execute(program, args, { env: { ...process.env, LC_ALL: 'C' } });
}

/** Mounts on `folder` with the arguments of mount(8); does not outlive this process. Gives how to unmount it, once. */
export async function mount(folder: string, ...args: string[]): Promise<() => Promise<void>> {
  // The guard is told first: a process that is killed in between leaves nothing mounted.
  const release = protect('mount', folder);
  try {
    await command('mount', ...args, folder);
  } catch (error) {
    release();
    throw error;
  }
  let mounted = true;
  return async () => {
    if (!mounted) return;
    const what = `${folder} to be free, so that it can be unmounted`;
    const unmounted = command('umount', folder).then(() => true);
    await unmounted.catch(() => until(() => command('umount', folder).then(() => true), { what }));
    mounted = false;
    release();
  };
}

/** Why this machine does not let us have such a disk, found out by making one; undefined when it does. */
export async function whyNot(start: () => Promise<AsyncDisposable>): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'disks of our own need Linux';
  if (process.getuid?.() !== 0) return 'only root may mount file systems';
  try {
    await (await start())[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    const said = (error as { stderr?: string }).stderr || String(error);
    return `file systems cannot be mounted here: ${said.trim().split('\n')[0]}`;
  }
}
