/**
 * Bare child processes, by a process of its own. Argument: the folder where a command may leave a file `at`, which it
 * finds as MILLRACE_OUTPUTS. Messages in: { argv, count, inFlight }; out: {@link Spawned}.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Spawned {
  readonly perSecond: number;
  /** The moment before the start, in milliseconds since 1970, and what the command left; one after the other. */
  readonly each: readonly { readonly begunMs: number; readonly at: string }[];
}

const [folder = '.'] = process.argv.slice(2);
const file = join(folder, 'at');

function one([program = '', ...args]: readonly string[]): Promise<Spawned['each'][number]> {
  return new Promise((resolve, reject) => {
    const begunMs = performance.timeOrigin + performance.now();
    const child = spawn(program, args, {
      stdio: 'ignore',
      env: { ...process.env, MILLRACE_OUTPUTS: folder },
    });
    child.once('error', reject);
    child.once('exit', () => resolve({ begunMs, at: existsSync(file) ? readFileSync(file, 'utf8') : '' }));
  });
}

async function many(argv: readonly string[], count: number, inFlight: number): Promise<Spawned> {
  const each: Spawned['each'][number][] = [];
  const begun = performance.now();
  let left = count;
  const lane = async () => {
    while (left-- > 0) each.push(await one(argv));
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { perSecond: count / ((performance.now() - begun) / 1000), each };
}

process.on('message', async (wanted: { argv: readonly string[]; count: number; inFlight: number }) => {
  process.send?.(await many(wanted.argv, wanted.count, wanted.inFlight));
});
process.stdout.write('{"ready":true}\n');
