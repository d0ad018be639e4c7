import { EventLogService } from '@millrace/contracts/common';
import { Health, HealthCheckResponse_ServingStatus } from '@millrace/contracts/grpc-health';
import { ServerReflection } from '@millrace/contracts/grpc-reflection';
import { createClient, grpcTransport } from '@millrace/rpc';
import type { ServiceName, TestSuite } from '@millrace/testing';
import { expect } from 'vitest';
import { offered } from './bad-input.ts';

const options = { deadlineMs: 10_000 };

/** A process says that it is healthy, which services it offers, and what its events were. */
export async function servesTheCommon(suite: TestSuite, name: ServiceName): Promise<void> {
  const transport = grpcTransport({ address: suite.service(name).address });
  try {
    const wanted = offered[name].map((service) => service.typeName);
    const health = createClient(Health, transport, options);
    for (const service of ['', ...wanted])
      expect((await health.check({ service })).status).toBe(HealthCheckResponse_ServingStatus.SERVING);
    const listed = createClient(ServerReflection, transport, options).serverReflectionInfo(
      (async function* () {
        yield { messageRequest: { case: 'listServices', value: '' } } as const;
      })(),
    );
    for await (const { messageResponse } of listed) {
      expect(messageResponse.case).toBe('listServicesResponse');
      if (messageResponse.case !== 'listServicesResponse') break;
      expect(messageResponse.value.service.map((service) => service.name)).toEqual(
        expect.arrayContaining([...wanted, Health.typeName, ServerReflection.typeName]),
      );
    }
    const { events } = await createClient(EventLogService, transport, options).listEvents({ pageSize: 10 });
    expect(events.length).toBeGreaterThan(0);
    const sequences = events.map(({ sequence }) => Number(sequence));
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
  } finally {
    transport.close();
  }
}

/** Told to stop while it is asked all the time, a process answers what it took on and exits with 0 within ten seconds. */
export async function stopsUnderLoad(suite: TestSuite, name: ServiceName): Promise<void> {
  const transport = grpcTransport({ address: suite.service(name).address });
  const events = createClient(EventLogService, transport, { deadlineMs: 2_000 });
  let [running, answered] = [true, 0];
  const client = async () => {
    while (running)
      await events.listEvents({ pageSize: 1000 }).then(
        () => answered++,
        () => new Promise((resolve) => setTimeout(resolve, 20)),
      );
  };
  const follower = async () => {
    try {
      for await (const _ of events.watchEvents({}, { deadlineMs: 20_000 })) if (!running) break;
    } catch {
      // The server ends it when it stops.
    }
  };
  const load = Promise.all([client(), client(), client(), client(), follower()]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const begun = performance.now();
  const code = await suite.service(name).stop();
  const tookMs = performance.now() - begun;
  running = false;
  transport.close();
  await load;
  expect(answered).toBeGreaterThan(0);
  expect(code).toBe(0);
  expect(tookMs).toBeLessThan(10_000);
}
