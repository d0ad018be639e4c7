import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const requirements = join(import.meta.dirname, 'requirements.txt');
const installMs = 240_000;

/**
 * A Python that has the packages of requirements.txt, in an environment of its own under `~/.cache/millrace` that is
 * made when it is first needed; or the reason why there is none.
 */
export async function findPython(
  show: (line: string) => void,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const version = await runProgram('python3', ['--version'], 20_000);
  if (version !== 0) return { reason: 'python3 is not installed' };
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex');
  const folder = join(homedir(), '.cache', 'millrace', `clients-${digest.slice(0, 12)}`);
  const path = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return { path };
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const made = await runProgram('python3', ['-m', 'venv', folder], installMs, show);
  if (made !== 0)
    return { reason: 'python3 cannot make an environment (on Debian: apt install python3-venv)' };
  const options = ['--quiet', '--disable-pip-version-check', '--only-binary=:all:'];
  const install = ['-m', 'pip', 'install', ...options, '-r', requirements];
  const installed = await runProgram(path, install, installMs, show);
  if (installed !== 0)
    return { reason: 'the packages of test/clients/requirements.txt could not be installed from PyPI' };
  await writeFile(complete, '');
  return { path };
}

/** Runs a program to its end and gives its exit code; 127 when it cannot be started, 1 when it took too long. */
export function runProgram(
  command: string,
  args: readonly string[],
  limitMs: number,
  onLine: (line: string) => void = () => {},
): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
    child.once('error', () => {
      clearTimeout(timer);
      resolve(127);
    });
    // The pipes end after the exit: only then are the last lines there.
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve(code ?? 1);
    });
  });
}
