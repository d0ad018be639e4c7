import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, type Found, findProgram } from './find.ts';
import { freePort, startProcess } from './process.ts';

export interface MongoServer {
  /** The URL of a database on it. */
  databaseUrl(name: string): string;
  stop(): Promise<void>;
}

/**
 * A MongoDB server: MONGODB_URL in the environment, `mongod` on the PATH or in the cache, or mongo-java-server (which
 * speaks MongoDB's protocol) where install.sh has put it.
 */
export function findMongo(): Found<MongoServer> {
  const url = process.env.MONGODB_URL;
  if (url) return { kind: 'the server of MONGODB_URL', start: async () => ofUrl(url, async () => {}) };
  const mongod = findProgram('mongod');
  if (mongod) return { kind: 'mongod', start: () => startMongod(mongod) };
  const java = findProgram('java');
  const jars = join(cacheFolder, 'mongo-java-server');
  if (java && existsSync(jars))
    return { kind: 'mongo-java-server', start: () => startJavaServer(java, jars) };
  return {
    reason: 'no MONGODB_URL, no mongod, and test/servers/install.sh was not run (it needs java and mvn)',
  };
}

async function startMongod(mongod: string): Promise<MongoServer> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-mongod-'));
  const port = await freePort();
  const args = ['--dbpath', folder, '--port', String(port), '--bind_ip', '127.0.0.1'];
  const server = await startProcess(mongod, args, () => accepts(port));
  return ofUrl(`mongodb://127.0.0.1:${port}`, async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
}

async function startJavaServer(java: string, jars: string): Promise<MongoServer> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-mongo-java-'));
  const source = join(import.meta.dirname, 'MongoJavaServer.java');
  let port = '';
  const args = ['-Xmx256m', '-cp', join(jars, '*'), source, join(folder, 'data')];
  const server = await startProcess(java, args, (printed) => {
    port = /^port (\d+)$/m.exec(printed)?.[1] ?? '';
    return port !== '';
  });
  return ofUrl(`mongodb://127.0.0.1:${port}`, async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

/** A server by a URL with or without a database and options. */
function ofUrl(url: string, stop: () => Promise<void>): MongoServer {
  const [, hosts = url, options = ''] = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(url) ?? [];
  return { databaseUrl: (name) => `${hosts}/${name}${options}`, stop };
}
