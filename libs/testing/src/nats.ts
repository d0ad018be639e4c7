import { join } from 'node:path';
import { findNatsServer, type Log, type NatsServer, startNatsServer } from '@millrace/events';
import { protect } from './guard.ts';
import { tempDir } from './temp-dir.ts';

/** A real nats-server in a temporary folder. */
export interface TestNats extends AsyncDisposable {
  /** `nats://127.0.0.1:<port>`; the same after every restart. */
  readonly url: string;
  readonly version: string;
  readonly pid: number;
  /** Where its streams lie. */
  readonly dataDir: string;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data; ends it first if it runs. */
  restart(): Promise<void>;
  /** Freezes it: connections stay open and nothing answers. */
  pause(): void;
  /** Lets it go on. */
  resume(): void;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** Starts a nats-server on a free port, with the settings the suite uses. It does not outlive this process. */
export async function startNats(options: { readonly log?: Log } = {}): Promise<TestNats> {
  const folder = tempDir('millrace-nats-');
  const dataDir = join(folder.path, 'nats');
  const server = await findNatsServer();
  let running: NatsServer | undefined;
  let release = () => {};

  async function start(port: number): Promise<NatsServer> {
    running = await startNatsServer({ dataDir, port, server, ...options });
    release = protect('process', running.pid);
    return running;
  }

  async function end(how: 'stop' | 'kill'): Promise<void> {
    const ending = running;
    running = undefined;
    if (!ending) return;
    // A frozen process does not see SIGTERM.
    process.kill(ending.pid, 'SIGCONT');
    await ending[how]();
    release();
  }

  const { url, port, version } = await start(0);
  const stop = async () => {
    await end('kill');
    await folder.remove();
  };
  return {
    url,
    version,
    dataDir,
    get pid() {
      return running?.pid ?? 0;
    },
    kill: () => end('kill'),
    restart: async () => {
      await end('kill');
      await start(port);
    },
    pause: () => void process.kill(running?.pid ?? 0, 'SIGSTOP'),
    resume: () => void process.kill(running?.pid ?? 0, 'SIGCONT'),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
