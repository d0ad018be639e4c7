import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, wrongState } from '@millrace/errors';
import { type Log, noLog } from '../log.ts';
import { isAlive } from './cache.ts';
import { type FindOptions, type FoundServer, findNatsServer } from './find.ts';
import { checkVersion } from './version.ts';

export interface StartOptions extends FindOptions {
  /** Where streams, the configuration and the process id are kept. */
  readonly dataDir: string;
  /** 0 takes a free port. @default 0 */
  readonly port?: number;
  /** The server's own lines go here at debug. @default none */
  readonly log?: Log;
  /** A program to use instead of looking for one. */
  readonly server?: FoundServer;
}

/** A running server. */
export interface NatsServer {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** For example `2.15.2`. */
  readonly version: string;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends it in order; SIGKILL after five seconds. */
  stop(): Promise<void>;
  /** Ends it at once with SIGKILL. */
  kill(): Promise<void>;
}

/**
 * Starts a nats-server on loopback with a durable configuration (every message is on disk before it is
 * acknowledged) and waits until it is ready. Throws NATS_NOT_STARTED with its last lines when it does not start.
 */
export async function startNatsServer(options: StartOptions): Promise<NatsServer> {
  const log = options.log ?? noLog;
  const server = options.server ?? (await findNatsServer(options));
  const advice = checkVersion(server.version);
  if (advice) log.warn({ version: server.version }, advice);
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, { recursive: true });
  await endOrphan(dataDir, log);
  const config = join(dataDir, 'nats-server.conf');
  await writeFile(config, configuration(dataDir, options.port ?? 0));
  // A group of its own: Ctrl-C at a terminal reaches our process only, which then stops services before NATS.
  const child = spawn(server.path, ['--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const exited = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', () => done());
  });
  const port = await waitReady(child, exited, log);
  const pid = child.pid!;
  await writeFile(join(dataDir, 'nats-server.pid'), JSON.stringify({ pid, owner: process.pid }));
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(late);
    await rm(join(dataDir, 'nats-server.pid'), { force: true });
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    pid,
    version: server.version,
    exited,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

/** The parser needs the space before a brace. `sync_interval: always`: the default loses two minutes in a power cut. */
function configuration(dataDir: string, port: number): string {
  return `listen: "127.0.0.1:${port === 0 ? -1 : port}"
max_payload: 1MB
jetstream {
  store_dir: ${JSON.stringify(join(dataDir, 'jetstream'))}
  sync_interval: always
  max_memory_store: 256MB
  max_file_store: 64GB
}
`;
}

async function waitReady(child: ChildProcess, exited: Promise<void>, log: Log): Promise<number> {
  const last: string[] = [];
  let port = 0;
  const ready = new Promise<boolean>((done) => {
    createInterface({ input: child.stderr! }).on('line', (line) => {
      if (last.push(line) > 20) last.shift();
      log.debug({ from: 'nats-server' }, line);
      port ||= Number(/Listening for client connections on \S*:(\d+)/.exec(line)?.[1] ?? 0);
      if (line.includes('Server is ready')) done(true);
    });
    void exited.then(() => done(false));
    setTimeout(() => done(false), 30_000).unref();
  });
  if ((await ready) && port > 0) return port;
  child.kill('SIGKILL');
  const message = `nats-server did not start; its last lines:\n${last.join('\n') || '(none)'}`;
  throw new CodedError('failed_precondition', 'NATS_NOT_STARTED', message);
}

/**
 * Two servers on one folder would destroy it, and nats-server takes no lock. One whose owner lives is left alone;
 * one whose owner died (kill -9) is ended.
 */
async function endOrphan(dataDir: string, log: Log): Promise<void> {
  const text = await readFile(join(dataDir, 'nats-server.pid'), 'utf8').catch(() => '');
  const { pid, owner } = /^\{/.test(text) ? (JSON.parse(text) as { pid: number; owner: number }) : {};
  if (!pid || !owner || !isAlive(pid) || !(await runsOn(pid, dataDir))) return;
  if (isAlive(owner))
    throw wrongState(
      `process ${owner} already runs a nats-server (process ${pid}) on ${dataDir}; stop it first or use another folder`,
      'NATS_NOT_STARTED',
    );
  log.warn({ pid, owner }, 'ending a nats-server whose owner is gone');
  process.kill(pid, 'SIGTERM');
  for (let waited = 0; (await runsOn(pid, dataDir)) && waited < 5_000; waited += 50) await sleep(50);
  if (await runsOn(pid, dataDir)) process.kill(pid, 'SIGKILL');
}

/** Process ids are reused: only a process with our configuration on its command line is ours. */
async function runsOn(pid: number, dataDir: string): Promise<boolean> {
  if (process.platform !== 'linux') return isAlive(pid);
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line.includes(join(dataDir, 'nats-server.conf'));
}
