import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { loadSettings } from '@millrace/config';
import { names, servingEvents } from '@millrace/contracts';
import { ColumnType } from '@millrace/contracts/common';
import { MonitoringService } from '@millrace/contracts/monitoring';
import { type Bus, publish } from '@millrace/events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { startService } from '@millrace/service';
import { silentLogger } from '@millrace/telemetry';
import { settings } from '../src/config.ts';
import { build } from '../src/wiring.ts';

export const hour = 3_600_000;
export const start = Date.UTC(2001, 5, 4);
export const parent = 'projects/default';
export const deploymentNamed = (deployment: string) =>
  names.deployment.format({ project: 'default', deployment });
export const monitorNamed = (monitor: string) => names.monitor.format({ project: 'default', monitor });
const modelVersion = names.modelVersion.format({ project: 'default', model: 'm', version: '1' });

/** The service in this process, through its real RPC edge. */
export async function startMonitoring(env: Readonly<Record<string, string>>) {
  const config = loadSettings(settings, env);
  const spec = { name: 'monitoring', context: 'monitoring', settings, build } as const;
  const service = await startService(spec, { config, log: silentLogger });
  const transport = grpcTransport({ address: service.address });
  return {
    client: createClient(MonitoringService, transport, { deadlineMs: 10_000 }),
    stop: async () => {
      transport.close();
      await service.stop();
    },
  };
}

export type Monitoring = Awaited<ReturnType<typeof startMonitoring>>['client'];

/** A monitor of hour-long windows that judges from one row on. */
export function hourly(monitor: string, deployment: string, minRows = 1) {
  const window = { length: durationFromMs(hour), minRows };
  return { name: monitorNamed(monitor), deployment: deploymentNamed(deployment), window };
}

/** Logs inferences at these times, as serving does. The score of each is its place in the batch, over ten. */
export function infer(
  bus: Bus,
  deployment: string,
  batch: string,
  timesMs: readonly number[],
): Promise<unknown> {
  const ids = timesMs.map((_, i) => `${batch}/${i}`);
  const rowCount = timesMs.length;
  const doubles = timesMs.map((_, i) => i / 10);
  return publish(bus, servingEvents.inferenceLogged, {
    project: 'default',
    resource: deploymentNamed(deployment),
    id: batch,
    data: {
      deployment: deploymentNamed(deployment),
      modelVersion,
      sampleRate: 1,
      inferenceIds: ids,
      requestIds: ids,
      eventTimes: timesMs.map((time) => BigInt(Math.round(time * 1000))),
      inputs: { rowCount, columns: [{ name: 'x.y/z', type: ColumnType.DOUBLE, doubles }] },
      outputs: { rowCount, columns: [{ name: 'score', type: ColumnType.DOUBLE, doubles }] },
    },
  });
}
