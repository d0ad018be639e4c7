import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { wrongState } from '@millrace/errors';
import { command } from '../command.ts';
import { lockOwner } from '../suite/lock.ts';
import { root } from '../suite/members.ts';
import { untilStopped } from '../suite/signals.ts';
import type { Suite } from '../suite/suite.ts';

export const demo = command({
  summary: 'Runs the demonstration in a fresh suite: features, training, serving, drift, retraining',
  args: [],
  options: {
    keep: { type: 'boolean', meaning: 'Leave the suite running afterwards, until Ctrl-C, to look around.' },
  },
  notes: ['Its data folder is .millrace/demo, or --data-dir; it is emptied first.'],
  run: async ({ options, globals, out }) => {
    const asked = globals.dataDir === '.millrace' ? join('.millrace', 'demo') : globals.dataDir;
    const dataDir = resolve(asked);
    emptyFolder(dataDir);
    const starting = new AbortController();
    const env = { ...process.env, SOURCE_ROOTS: [...new Set([process.cwd(), resolve(root)])].join(',') };
    return untilStopped({
      out,
      start: async () => {
        const { startSuite } = await import('../suite/suite.ts');
        const startedMs = performance.now();
        out.progress('starting NATS and the services …');
        const onLine = (line: string) => out.line(line);
        const suite = await startSuite({ dataDir, env, onLine, signal: starting.signal });
        out.progress();
        const tookS = ((performance.now() - startedMs) / 1000).toFixed(1);
        out.line(`NATS and ${suite.services.size} services are ready after ${tookS} s; their data: ${asked}`);
        return suite;
      },
      giveUp: () => starting.abort(),
      work: async (suite, stopping) => {
        const code = await runDemo(suite, globals.project, stopping);
        if (!options.keep || stopping.aborted) return code;
        out.line();
        out.line(
          `The suite keeps running. In another terminal, in ${relative(process.cwd(), root) || 'this folder'}:`,
        );
        out.line(`  export MILLRACE_DATA_DIR=${asked}`);
        for (const look of looks) out.line(`  npx millrace ${look}`);
        out.line('Ctrl-C stops it.');
        await new Promise((done) => stopping.addEventListener('abort', done));
        return code;
      },
    });
  },
});

const looks = [
  'events list',
  'models list',
  'runs list',
  'pipelines runs',
  'deployments list',
  'drift --list',
];

/** The mark of a folder that the demonstration may empty. */
const mark = '.millrace-demo';

/** Empties the folder. One that holds something else than a demonstration's data is refused. */
function emptyFolder(dataDir: string): void {
  const owner = lockOwner(dataDir);
  if (owner)
    throw wrongState(
      `process ${owner} runs a suite on ${dataDir}; stop it first, or use another --data-dir`,
      'SUITE_RUNNING',
    );
  const isOurs = existsSync(join(dataDir, mark));
  if (existsSync(dataDir) && !isOurs && readdirSync(dataDir).length > 0)
    throw wrongState(`${dataDir} is not empty and not a demonstration's folder; use another --data-dir`);
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(join(dataDir, mark), 'millrace demo empties this folder when it starts.\n');
}

/** The demonstration is a client like any other: it gets addresses, and no more. */
function runDemo(suite: Suite, project: string, stopping: AbortSignal): Promise<number> {
  const { services, natsUrl } = suite.endpoints;
  const addresses = Object.entries(services).map(([context, address]) => [
    `MILLRACE_${context.toUpperCase()}_ADDRESS`,
    address,
  ]);
  const env = {
    ...process.env,
    ...Object.fromEntries(addresses),
    MILLRACE_NATS_URL: natsUrl,
    MILLRACE_PROJECT: project,
    MILLRACE_DATA_DIR: suite.dataDir,
  };
  const child = spawn(process.execPath, [join(root, 'examples/flights/demo.ts')], { env, stdio: 'inherit' });
  // Ctrl-C at a terminal reaches it by itself; other signals reach only us.
  stopping.addEventListener('abort', () => child.kill('SIGTERM'));
  return new Promise((done) => {
    child.once('error', () => done(1));
    child.once('exit', (code) => done(code ?? 1));
  });
}
