import { readFileSync } from 'node:fs';
import { TrackingService } from '@millrace/contracts/tracking';
import { connectBus, tail } from '@millrace/events';
import { createClient, grpcTransport } from '@millrace/rpc';
import { expect, test } from 'vitest';
import { startNats, startService, type TestService, until } from '../src/index.ts';

test('a service is killed at its race point, and passes by after a restart', async () => {
  await using nats = await startNats();
  await using tracking = await startService('tracking', {
    env: { NATS_URL: nats.url },
    race: { point: 'relay.before-publish', nth: 2, signal: 'kill' },
  });
  await createExperiments(tracking);
  await tracking.reached;
  expect(tracking.logs).toContain('race point relay.before-publish reached: kill');
  await tracking.restart();
  const bus = await connectBus({ url: nats.url, name: 'race' });
  const seen: string[] = [];
  for await (const event of tail(bus, { since: 'all', signal: AbortSignal.timeout(10_000) })) {
    seen.push(event.id);
    if (seen.length === 2) break;
  }
  expect(new Set(seen).size).toBe(2);
  await bus.close();
});

test('a service is frozen at its race point, and goes on', async () => {
  await using nats = await startNats();
  await using tracking = await startService('tracking', {
    env: { NATS_URL: nats.url },
    race: { point: 'relay.before-publish', nth: 2, signal: 'stop' },
  });
  await createExperiments(tracking);
  await tracking.reached;
  const state = () => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${tracking.pid}/status`, 'utf8'))?.[1];
  await until(() => state() === 'T');
  tracking.resume();
  await until(() => state() !== 'T');
});

/** Two changes, so two events; the second may have no answer. */
async function createExperiments(tracking: TestService): Promise<void> {
  const transport = grpcTransport({ address: tracking.address });
  const client = createClient(TrackingService, transport, { deadlineMs: 2_000 });
  for (const displayName of ['one', 'two'])
    await client
      .createExperiment({ parent: 'projects/default', experiment: { displayName }, requestId: displayName })
      .catch(() => {});
  transport.close();
}
