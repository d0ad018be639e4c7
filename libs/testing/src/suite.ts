import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { startNats, type TestNats } from './nats.ts';
import { type ServiceName, services, startService, type TestService } from './service.ts';
import { tempDir } from './temp-dir.ts';

export interface SuiteOptions {
  /** Which services to start. @default all */
  readonly only?: readonly ServiceName[];
  /** Settings for all of them. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The whole suite in processes of its own, wired together. */
export interface TestSuite extends AsyncDisposable {
  readonly nats: TestNats;
  /** A service that was started; throws for one that was not. */
  service(name: ServiceName): TestService;
  /** NATS_URL and the addresses, as a client's environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly dataDir: string;
  /** Ends everything, services first, and removes the data. */
  stop(): Promise<void>;
}

/** Starts nats-server and the services on free ports, with storage in one temporary folder. */
export async function startSuite(options: SuiteOptions = {}): Promise<TestSuite> {
  const names = options.only ?? (Object.keys(services) as ServiceName[]);
  const folder = tempDir('millrace-suite-');
  const nats = await startNats();
  const running = new Map<ServiceName, TestService>();
  const stop = async () => {
    await Promise.all([...running.values()].map((service) => service.stop()));
    await nats.stop();
    await folder.remove();
  };
  // Ports are chosen before anything starts: every service is told where all the others will be.
  const ports = new Map<ServiceName, number>();
  for (const name of Object.keys(services) as ServiceName[]) ports.set(name, await freePort());
  const addresses = [...ports].map(([name, port]) => [services[name], `127.0.0.1:${port}`]);
  const env = { NATS_URL: nats.url, ...Object.fromEntries(addresses), ...options.env };
  try {
    await Promise.all(
      names.map(async (name) => {
        const service = { env, port: ports.get(name)!, dataDir: join(folder.path, name) };
        running.set(name, await startService(name, service));
      }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nats,
    env,
    dataDir: folder.path,
    service: (name) => {
      const found = running.get(name);
      if (!found) throw new Error(`${name} was not started; started: ${[...running.keys()].join(', ')}`);
      return found;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
