/**
 * `npm run test:clients`: clients that were not written here against the running suite. They are Python programs with
 * packages from PyPI, in an environment of their own under `~/.cache/millrace`, made when it is first needed.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ServiceName, startSuite } from '@millrace/testing';

const here = import.meta.dirname;
const installMs = 240_000;
const testMs = 180_000;

const contexts: Readonly<Record<string, ServiceName>> = {
  tracking: 'tracking',
  registry: 'registry',
  features: 'feature-store',
  pipelines: 'orchestrator',
  serving: 'serving',
  monitoring: 'monitoring',
};

const python = await findPython();
if ('reason' in python) {
  console.log(`skipped: ${python.reason}`);
  console.log('0 passed, 0 failed');
} else {
  const suite = await startSuite({ env: { LOG_LEVEL: 'warn' } });
  try {
    const addresses = Object.entries(contexts).map(([context, name]) => [
      context,
      suite.service(name).address,
    ]);
    const args = ['-B', join(here, 'main.py'), JSON.stringify(Object.fromEntries(addresses))];
    process.exitCode = await run(python.path, args, { ms: testMs, show: true });
    if (process.exitCode !== 0) showErrors(Object.values(contexts).map((name) => suite.service(name).logs));
  } finally {
    await suite.stop();
  }
}

/** A Python that has the packages of requirements.txt, or the reason why there is none. */
async function findPython(): Promise<{ path: string } | { reason: string }> {
  if ((await run('python3', ['--version'], { ms: 20_000 })) !== 0)
    return { reason: 'python3 is not installed' };
  const requirements = join(here, 'requirements.txt');
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 12);
  const folder = join(homedir(), '.cache', 'millrace', `clients-${digest}`);
  const path = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return { path };
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  if ((await run('python3', ['-m', 'venv', folder], { ms: installMs })) !== 0) {
    return { reason: 'python3 cannot make an environment (on Debian: apt install python3-venv)' };
  }
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--only-binary=:all:',
    '-r',
    requirements,
  ];
  if ((await run(path, pip, { ms: installMs, show: true })) !== 0) {
    return { reason: 'the packages of test/clients/requirements.txt could not be installed from PyPI' };
  }
  await writeFile(complete, '');
  return { path };
}

function run(command: string, args: readonly string[], { ms, show = false }: { ms: number; show?: boolean }) {
  return new Promise<number>((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', show ? 'inherit' : 'ignore', show ? 'inherit' : 'ignore'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    child.once('error', () => resolve(127));
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(code ?? 1);
    });
  });
}

/** What the services said went wrong, to tell the cause of a failed check. */
function showErrors(logs: readonly (readonly string[])[]): void {
  const errors = logs
    .flat()
    .filter((line) => line.includes('"level":"error"') || line.includes('"level":50'));
  if (errors.length > 0) console.log(`── the services' errors\n${errors.slice(-20).join('\n')}`);
}
