import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { openLog } from './log-file.ts';

export interface ChildOptions {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly logPath: string;
}

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One life of a service's process. */
export interface Child {
  readonly pid: number;
  /** Resolves with the address of its ready line; undefined when it ended before. */
  readonly ready: Promise<string | undefined>;
  readonly exited: Promise<Ended>;
  /** Asks it to end, and ends it after `graceMs`. */
  stop(graceMs: number): Promise<void>;
  kill(): void;
}

/**
 * Starts a service. It gets a process group of its own, so that Ctrl-C at a terminal reaches only the supervisor, which
 * stops things in order; and an IPC channel, whose end tells it that the supervisor is gone, kill -9 included.
 */
export function startChild({ program, env, cwd, logPath }: ChildOptions): Child {
  const log = openLog(logPath);
  const child = spawn(process.execPath, [program], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', log, 'ipc'],
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
  closeSync(log);
  const exited = new Promise<Ended>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
  const kill = () => void child.kill('SIGKILL');
  return {
    pid: child.pid ?? 0,
    ready: readyOf(child, exited),
    exited,
    kill,
    stop: async (graceMs) => {
      // Windows has no SIGTERM: there the end of the channel is the request.
      if (process.platform === 'win32' && child.connected) child.disconnect();
      else child.kill('SIGTERM');
      const late = setTimeout(kill, graceMs);
      await exited;
      clearTimeout(late);
    },
  };
}

function readyOf(child: ChildProcess, exited: Promise<Ended>): Promise<string | undefined> {
  return new Promise((resolve) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const address = addressOf(line);
      if (address) resolve(address);
    });
    void exited.then(() => resolve(undefined));
  });
}

/** The address in a ready line; undefined for other lines. */
function addressOf(line: string): string | undefined {
  try {
    const { ready, address } = JSON.parse(line) as { ready?: unknown; address?: unknown };
    return ready === true && typeof address === 'string' ? address : undefined;
  } catch {
    return undefined;
  }
}
