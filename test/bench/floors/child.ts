import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { protect } from '@millrace/testing';

/** A floor in a process of its own, as a service would be. */
export interface Child<T> {
  /** What it said when it was ready. */
  readonly ready: T;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a program of this folder and waits for its first line, which is JSON. */
export async function startChild<T>(program: URL, args: readonly string[] = []): Promise<Child<T>> {
  const child = spawn(process.execPath, [program.pathname, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  const release = protect('process', child.pid ?? 0);
  const ready = await new Promise<T>((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', (line) => resolve(JSON.parse(line) as T));
    child.once('exit', (code) => reject(new Error(`${program.pathname} ended with code ${code}`)));
  });
  return {
    ready,
    process: child,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGKILL');
        release();
      }),
  };
}

/** Sends a message to a floor's process and gives its answer. */
export function ask<A>(child: Child<unknown>, message: object): Promise<A> {
  return new Promise((resolve, reject) => {
    child.process.once('message', (answer) => resolve(answer as A));
    child.process.once('error', reject);
    child.process.send(message);
  });
}
