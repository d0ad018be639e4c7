import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Endpoints } from '@millrace/sdk';
import { removeEndpoints, writeEndpoints } from './endpoints-file.ts';
import { takeLock } from './lock.ts';
import { type Member, members, programOf } from './members.ts';
import { prepareNats, type SuiteNats } from './nats.ts';
import { choosePorts, freePort } from './ports.ts';
import { type Supervised, supervise } from './supervise.ts';

export interface SuiteOptions {
  /** Where everything is kept; made when it is not there. */
  readonly dataDir: string;
  /** The port of the first service; the others follow. @default 7101 */
  readonly portBase?: number;
  /** The environment of the services; addresses and folders are added. @default process.env */
  readonly env?: Readonly<NodeJS.ProcessEnv>;
  /** Which services to start. @default all */
  readonly only?: readonly string[];
  /** Gets each line that a person should see. @default nobody */
  readonly onLine?: (line: string) => void;
  /** Gives up while it is starting. */
  readonly signal?: AbortSignal;
}

/** A suite that runs: NATS and the services, each in a process of its own. */
export interface Suite {
  readonly dataDir: string;
  readonly logDir: string;
  readonly endpoints: Endpoints;
  readonly nats: SuiteNats;
  readonly services: ReadonlyMap<string, Supervised>;
  /** Stops the services together, then NATS. */
  stop(): Promise<void>;
  /** Ends everything at once. */
  kill(): void;
}

const readyMs = 60_000;
/** Longer than DRAIN_MS, so that calls under way may finish. */
const graceMs = 12_000;

/**
 * Starts a suite on one machine. Throws SUITE_RUNNING when another process runs one on this folder, NATS_NOT_FOUND, and
 * SERVICE_NOT_STARTED; nothing is left running then.
 */
export async function startSuite(options: SuiteOptions): Promise<Suite> {
  const dataDir = resolve(options.dataDir);
  const logDir = join(dataDir, 'logs');
  const given = options.env ?? process.env;
  const onLine = options.onLine ?? (() => {});
  const chosen = options.only ? members.filter((member) => options.only?.includes(member.name)) : members;
  const release = takeLock(dataDir);
  const started: Supervised[] = [];
  let nats: SuiteNats | undefined;

  const stop = async () => {
    removeEndpoints(dataDir);
    await Promise.all(started.map((service) => service.stop()));
    await nats?.stop();
    release();
  };
  try {
    mkdirSync(logDir, { recursive: true });
    const { ports, notes } = await choosePorts(members, options.portBase ?? 7101);
    for (const note of notes) onLine(note);
    const natsPort = await freePort();
    const server = await prepareNats({ dataDir, port: natsPort, url: given.NATS_URL, onLine });
    const natsUrl = given.NATS_URL || `nats://127.0.0.1:${natsPort}`;
    const env: NodeJS.ProcessEnv = {
      ...given,
      ...addressesOf(ports),
      NATS_URL: natsUrl,
      DATA_DIR: dataDir,
      HOST: '127.0.0.1',
    };
    env.SOURCE_ROOTS ??= process.cwd();
    // Compiled code is kept for the next start, which halves its time.
    env.NODE_COMPILE_CACHE ??= join(dataDir, 'code-cache');
    const launch = async (member: Member) => {
      const service = await supervise({
        name: member.name,
        program: programOf(member.name),
        env: { ...env, PORT: String(ports[members.indexOf(member)]) },
        cwd: process.cwd(),
        logPath: join(logDir, `${member.name}.log`),
        onLine,
        readyMs,
        graceMs,
        ...(options.signal ? { signal: options.signal } : {}),
      });
      started.push(service);
    };
    // All at once: a service does not need NATS, or another service, to start.
    const startNats = async () => {
      nats = await server.start();
    };
    const starting = [startNats(), ...chosen.map(launch)];
    const failed = (await Promise.allSettled(starting)).find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
  } catch (error) {
    await stop();
    throw error;
  }
  const order = chosen.map((member) => member.name);
  started.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  const services = new Map(started.map((service) => [service.name, service]));
  const endpoints = endpointsOf(services, nats!.url, given.AUTH_TOKEN);
  writeEndpoints(dataDir, endpoints);
  const kill = () => {
    for (const service of started) service.kill();
    nats?.kill();
    removeEndpoints(dataDir);
    release();
  };
  return { dataDir, logDir, endpoints, nats: nats!, services, stop, kill };
}

/** Where each service finds the others: TRACKING_ADDRESS and so on. */
function addressesOf(ports: readonly number[]): Record<string, string> {
  return Object.fromEntries(
    members.map(({ context }, i) => [`${context.toUpperCase()}_ADDRESS`, `127.0.0.1:${ports[i]}`]),
  );
}

function endpointsOf(
  services: ReadonlyMap<string, Supervised>,
  natsUrl: string,
  token: string | undefined,
): Endpoints {
  const addresses = members.flatMap(({ name, context }) => {
    const service = services.get(name);
    return service ? [[context, service.address]] : [];
  });
  return { services: Object.fromEntries(addresses), natsUrl, ...(token ? { token } : {}) };
}
