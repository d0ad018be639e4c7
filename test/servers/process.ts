import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';

/** A started server process. */
export interface ServerProcess {
  readonly child: ChildProcess;
  /** Ends it and waits until it has gone. */
  stop(): Promise<void>;
}

/**
 * Starts a server and waits until `isReady`. Throws with what it printed if it ends first or takes more than 30 s.
 * `isReady` gets everything printed so far.
 */
export async function startProcess(
  command: string,
  args: readonly string[],
  isReady: (printed: string) => boolean | Promise<boolean>,
  env: Record<string, string> = {},
): Promise<ServerProcess> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let printed = '';
  const collect = (chunk: Buffer) => {
    if (printed.length < 100_000) printed += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  let ended = false;
  const end = new Promise<void>((resolve) => {
    const settle = () => {
      ended = true;
      resolve();
    };
    child.once('exit', settle);
    child.once('error', settle);
  });
  const stop = async () => {
    if (!ended) child.kill('SIGKILL');
    await end;
  };
  for (const deadline = Date.now() + 30_000; ; ) {
    if (await isReady(printed)) return { child, stop };
    if (ended || Date.now() > deadline) {
      await stop();
      throw new Error(`${command} did not start:\n${printed}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A loopback port that was free a moment ago, for servers that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
