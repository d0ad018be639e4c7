import { loadSettings } from '@millrace/config';
import { EventLogService } from '@millrace/contracts/common';
import { TrackingService } from '@millrace/contracts/tracking';
import { type Client, createClient, grpcTransport } from '@millrace/rpc';
import { startService } from '@millrace/service';
import { silentLogger } from '@millrace/telemetry';
import { startNats, tempDir } from '@millrace/testing';
import { settings } from '../src/config.ts';
import { build } from '../src/wiring.ts';

/** The service as it runs, with NATS, SQLite and files in temporary folders, and a client over a socket. */
export interface RunningTracking {
  readonly tracking: Client<typeof TrackingService>;
  readonly log: Client<typeof EventLogService>;
  readonly natsUrl: string;
  readonly address: string;
  stop(): Promise<void>;
}

export async function startTracking(env: Readonly<Record<string, string>> = {}): Promise<RunningTracking> {
  const nats = await startNats();
  const folder = tempDir();
  const config = loadSettings(settings, { DATA_DIR: folder.path, NATS_URL: nats.url, ...env });
  const spec = { name: 'tracking', context: 'tracking' as const, settings, build };
  const service = await startService(spec, { config, log: silentLogger });
  const transport = grpcTransport({ address: service.address });
  return {
    tracking: createClient(TrackingService, transport, { deadlineMs: 30_000 }),
    log: createClient(EventLogService, transport, { deadlineMs: 30_000 }),
    natsUrl: nats.url,
    address: service.address,
    stop: async () => {
      transport.close();
      await service.stop();
      await nats.stop();
      await folder.remove();
    },
  };
}

/** The types of a project's recorded events, in order, without `millrace.tracking.` and the version. */
export async function eventsOf(log: Client<typeof EventLogService>, project: string): Promise<string[]> {
  const { events } = await log.listEvents({ project, pageSize: 1000 });
  return events.map(({ type }) => type.replace('millrace.tracking.', '').replace('.v1', ''));
}

/** Collects a stream. */
export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
