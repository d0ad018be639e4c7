import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { protect } from './guard.ts';
import { type Race, raceVariable, reachedLine } from './race.ts';
import { tempDir } from './temp-dir.ts';

/** Every service, and the setting by which the others find it. */
export const services = {
  tracking: 'TRACKING_ADDRESS',
  registry: 'REGISTRY_ADDRESS',
  'feature-store': 'FEATURES_ADDRESS',
  orchestrator: 'PIPELINES_ADDRESS',
  serving: 'SERVING_ADDRESS',
  monitoring: 'MONITORING_ADDRESS',
} as const;

export type ServiceName = keyof typeof services;

const root = fileURLToPath(new URL('../../../', import.meta.url));
const racePreload = new URL('./race-preload.ts', import.meta.url).href;

export interface ServiceOptions {
  /** Settings; they are added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** @default a temporary folder that goes with the service */
  readonly dataDir?: string;
  /** @default a free one, kept over restarts */
  readonly port?: number;
  /** How long it may take until it is ready. @default 40000 */
  readonly readyMs?: number;
  /** Ends or freezes it at a named point of its first life; after a restart it passes by. */
  readonly race?: Race;
}

/** A service in a process of its own. */
export interface TestService extends AsyncDisposable {
  readonly name: ServiceName;
  /** `127.0.0.1:<port>`; the same after every restart. */
  readonly address: string;
  readonly pid: number;
  readonly dataDir: string;
  /** The lines it wrote, of all its lives: standard output and standard error. */
  readonly logs: readonly string[];
  /** Resolves when it has come to its race point: it is dead or frozen then. */
  readonly reached: Promise<void>;
  /** Waits until its present life is over, and gives the exit code; null when a signal ended it. */
  ended(): Promise<number | null>;
  /** Ends it with SIGKILL. */
  kill9(): Promise<void>;
  /** Starts it again with the same settings and data; ends it first, in order, if it runs. */
  restart(): Promise<void>;
  /** Freezes it: connections stay open and nothing answers. */
  pause(): void;
  /** Lets it go on. */
  resume(): void;
  /** Ends it with SIGTERM and gives its exit code; SIGKILL after 15 seconds, then the code is null. */
  stop(): Promise<number | null>;
}

/** Starts `services/<name>/src/main.ts` and waits for its ready line. It does not outlive this process. */
export async function startService(name: ServiceName, options: ServiceOptions = {}): Promise<TestService> {
  const folder = options.dataDir === undefined ? tempDir(`millrace-${name}-`) : undefined;
  const dataDir = options.dataDir ?? folder!.path;
  mkdirSync(dataDir, { recursive: true });
  const port = options.port ?? (await freePort());
  const env = { ...process.env, ...options.env, HOST: '127.0.0.1', PORT: String(port), DATA_DIR: dataDir };
  const logs: string[] = [];
  let child: ChildProcess | undefined;
  let release = () => {};
  const { promise: reached, resolve: tellReached } = Promise.withResolvers<void>();

  async function start(race?: Race): Promise<void> {
    const preload = race ? ['--import', racePreload] : [];
    const started = spawn(process.execPath, [...preload, `${root}services/${name}/src/main.ts`], {
      cwd: root,
      env: race ? { ...env, [raceVariable]: JSON.stringify(race) } : env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    if (started.pid) release = protect('process', started.pid);
    if (race) createInterface({ input: started.stderr }).on('line', tellIf(reachedLine(race), tellReached));
    try {
      await waitReady(name, started, logs, options.readyMs ?? 40_000);
    } catch (error) {
      await end('SIGKILL');
      throw error;
    }
  }

  async function end(signal: NodeJS.Signals): Promise<number | null> {
    const ending = child;
    child = undefined;
    if (!ending?.pid) return null;
    const code = await endChild(ending, signal);
    release();
    return code;
  }

  const stop = async () => {
    const code = await end('SIGTERM');
    await folder?.remove();
    return code;
  };
  await start(options.race);
  return {
    name,
    reached,
    address: `127.0.0.1:${port}`,
    dataDir,
    logs,
    get pid() {
      return child?.pid ?? 0;
    },
    ended: () => {
      const living = child;
      if (!living || living.exitCode !== null || living.signalCode !== null)
        return Promise.resolve(living?.exitCode ?? null);
      return new Promise((resolve) => living.once('exit', resolve));
    },
    kill9: async () => void (await end('SIGKILL')),
    restart: async () => {
      await end('SIGTERM');
      await start();
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

function tellIf(wanted: string, tell: () => void) {
  return (line: string) => {
    if (line === wanted) tell();
  };
}

function waitReady(name: string, child: ChildProcess, logs: string[], readyMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(new Error(`${name} ${why}; its last lines:\n${logs.slice(-20).join('\n') || '(none)'}`));
    const timer = setTimeout(() => fail(`was not ready after ${readyMs} ms`), readyMs);
    const keep = (line: string) => {
      logs.push(line);
      if (logs.length > 5_000) logs.splice(0, 1_000);
    };
    createInterface({ input: child.stderr! }).on('line', keep);
    createInterface({ input: child.stdout! }).on('line', (line) => {
      keep(line);
      if (!/^\{"ready":true/.test(line)) return;
      clearTimeout(timer);
      resolve();
    });
    child.once('error', (error) => fail(`did not start (${error.message})`));
    // The pipes end after the exit: only then are the last lines there.
    child.once('close', (code) => {
      clearTimeout(timer);
      fail(`ended with code ${code} before it was ready`);
    });
  });
}

function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => {
    const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
    child.once('exit', (code) => {
      clearTimeout(late);
      resolve(code);
    });
    // A frozen process does not see SIGTERM.
    child.kill('SIGCONT');
    child.kill(signal);
  });
}
