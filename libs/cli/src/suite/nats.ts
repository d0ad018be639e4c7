import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findNatsServer, type NatsServer, startNatsServer } from '@millrace/events';

/** The NATS of a suite: one that we run, or one that is somewhere else. */
export interface SuiteNats {
  readonly url: string;
  /** 0 when it is somewhere else. */
  readonly pid: number;
  readonly version: string | undefined;
  stop(): Promise<void>;
  kill(): void;
}

export interface NatsOptions {
  readonly dataDir: string;
  readonly port: number;
  /** The environment's NATS_URL: that one is used, and none is started. */
  readonly url: string | undefined;
  readonly onLine: (line: string) => void;
}

/** Looks for a server now, so that fetching one is seen before anything else starts; `start` runs it. */
export async function prepareNats(options: NatsOptions): Promise<{ start(): Promise<SuiteNats> }> {
  if (options.url) {
    const elsewhere = { url: options.url, pid: 0, version: undefined, stop: async () => {}, kill: () => {} };
    return { start: async () => elsewhere };
  }
  const server = await findNatsServer({ progress: options.onLine });
  const start = () => startNatsServer({ dataDir: join(options.dataDir, 'nats'), port: options.port, server });
  return { start: async () => keep(await start(), start, options.onLine) };
}

/** Starts it again on its port whenever it ends; the services keep reconnecting meanwhile. */
function keep(
  first: NatsServer,
  start: () => Promise<NatsServer>,
  onLine: (line: string) => void,
): SuiteNats {
  let server = first;
  let stopping = false;
  const follow = async () => {
    for (let waitMs = 200; ; waitMs = Math.min(waitMs * 2, 10_000)) {
      await server.exited;
      if (stopping) return;
      onLine(`nats-server ended; starting it again in ${waitMs / 1000} s`);
      await sleep(waitMs);
      if (stopping) return;
      try {
        server = await start();
        onLine(`nats-server is there again at ${server.url} (process ${server.pid})`);
      } catch (error) {
        onLine(error instanceof Error ? error.message : String(error));
      }
    }
  };
  const followed = follow();
  return {
    url: first.url,
    version: first.version,
    get pid() {
      return server.pid;
    },
    stop: async () => {
      stopping = true;
      await server.stop();
      await followed;
    },
    kill: () => {
      stopping = true;
      void server.kill();
    },
  };
}
