import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Context, contexts } from '@millrace/contracts';
import { Health, HealthCheckResponse_ServingStatus } from '@millrace/contracts/grpc-health';
import { type Bus, connectBus } from '@millrace/events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { connect, type Millrace } from '@millrace/sdk';
import { type ServiceName, services, startSuite, type TestSuite, tempDir } from '@millrace/testing';
import { expect } from 'vitest';
import { readings } from '../loop.ts';

/** One suite that asks for a token, and what the rows need of it. */
export interface Session {
  readonly suite: TestSuite;
  readonly bus: Bus;
  /** A client of the project `default`. */
  readonly millrace: Millrace;
  readonly token: string;
  /** The one folder that sources may name files in. */
  readonly folder: string;
  /** Rows for a source in that folder. */
  readonly readings: string;
  inProject(project: string): Millrace;
  /** The memory of a service's process, in MiB. */
  residentMb(name: ServiceName): number;
  /** Every service is the process that it was, and says that it serves. */
  expectAllServing(): Promise<void>;
  stop(): Promise<void>;
}

export const all = Object.keys(services) as ServiceName[];

/** What a request gets that is wrong. */
export const invalid = { kind: 'invalid_argument' };

export async function startSession(): Promise<Session> {
  const folder = tempDir('millrace-catalogue-');
  const token = 'f1b4c2-token-of-the-suite';
  const suite = await startSuite({
    env: { SOURCE_ROOTS: folder.path, LOG_LEVEL: 'info', AUTH_TOKEN: token },
  });
  const bus = await connectBus({ url: suite.nats.url, name: 'catalogue' });
  const address = (context: Context) => [context, suite.env[`${context.toUpperCase()}_ADDRESS`]];
  const endpoints = { services: Object.fromEntries(contexts.map(address)), token };
  const clients: Millrace[] = [];
  const inProject = (project: string) => {
    const made = connect({ project, endpoints });
    clients.push(made);
    return made;
  };
  const pids = all.map((name) => suite.service(name).pid);
  const file = join(folder.path, 'readings.jsonl');
  writeFileSync(file, readings);
  return {
    ...{ suite, bus, token, inProject },
    millrace: inProject('default'),
    folder: folder.path,
    readings: file,
    residentMb: (name) => {
      const pages = readFileSync(`/proc/${suite.service(name).pid}/statm`, 'utf8').split(' ')[1];
      return (Number(pages) * 4096) / 2 ** 20;
    },
    expectAllServing: async () => {
      expect(all.map((name) => suite.service(name).pid)).toEqual(pids);
      for (const name of all) {
        const transport = grpcTransport({ address: suite.service(name).address });
        const { status } = await createClient(Health, transport, { deadlineMs: 10_000 }).check({});
        transport.close();
        expect([name, status]).toEqual([name, HealthCheckResponse_ServingStatus.SERVING]);
      }
    },
    stop: async () => {
      for (const client of clients) client.close();
      await bus.close();
      await suite.stop();
      await folder.remove();
    },
  };
}
