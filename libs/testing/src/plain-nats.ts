import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type FoundServer, findNatsServer } from '@millrace/events';
import { freePort } from './free-port.ts';
import { protect } from './guard.ts';
import { tempDir } from './temp-dir.ts';

export interface PlainNatsOptions {
  /** @default the one that the suite uses */
  readonly server?: FoundServer;
  /** @default a temporary folder that goes with the server */
  readonly dataDir?: string;
  /** @default a free one */
  readonly port?: number;
}

/** A nats-server as others run it. */
export interface PlainNats extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
}

/**
 * Starts a nats-server of any version with JetStream and its own defaults, as someone may run it who does not know what
 * Millrace needs. Its disk writes are synced every two minutes.
 */
export async function startPlainNats(options: PlainNatsOptions = {}): Promise<PlainNats> {
  const server = options.server ?? (await findNatsServer());
  const folder = options.dataDir === undefined ? tempDir('millrace-plain-nats-') : undefined;
  const dataDir = options.dataDir ?? folder!.path;
  mkdirSync(dataDir, { recursive: true });
  const port = options.port ?? (await freePort());
  const config = join(dataDir, 'plain.conf');
  const store = JSON.stringify(join(dataDir, 'jetstream'));
  // By default a server promises three quarters of its disk, and the disks of tests are smaller than a stream may grow.
  const jetstream = `jetstream {\n  store_dir: ${store}\n  max_file_store: 64GB\n}`;
  writeFileSync(config, `listen: "127.0.0.1:${port}"\n${jetstream}\n`);
  const child = spawn(server.path, ['--config', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  const release = child.pid ? protect('process', child.pid) : () => {};
  const exited = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', () => done());
  });
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
    release();
  };
  const lines: string[] = [];
  const ready = new Promise<boolean>((done) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      if (line.includes('Server is ready')) done(true);
    });
    void exited.then(() => done(false));
  });
  if (!(await ready)) throw new Error(`nats-server ${server.version} did not start:\n${lines.join('\n')}`);
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    pid: child.pid!,
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      await folder?.remove();
    },
  };
}
