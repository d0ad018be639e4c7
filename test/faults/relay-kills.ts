import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, connectBus } from '@millrace/events';
import { freePort, startNats, startService, type TestService, tempDir } from '@millrace/testing';
import { type BatchLoad, startBatchLoad } from './batch-load.ts';
import type { Chance, Outcome } from './scenario.ts';
import { batchesInStream } from './streams.ts';

export interface RelayKills {
  readonly point: 'relay.before-publish' | 'relay.after-publish';
  /** Done to what the killed service left behind, before it is started again. */
  readonly between?: (service: TestService, bus: Bus) => Promise<void>;
}

/** Kills tracking where its relay is at a race point, under load, and looks into the stream: three times, a control once. */
export async function killRelay(chance: Chance, { point, between }: RelayKills): Promise<Outcome> {
  await using nats = await startNats();
  await using folder = tempDir('millrace-relay-');
  const bus = await connectBus({ url: nats.url, name: 'observer' });
  const place = {
    dataDir: folder.path,
    port: await freePort(),
    env: { NATS_URL: nats.url, LOG_LEVEL: 'warn' },
  };
  let load: BatchLoad | undefined;
  try {
    for (let life = 0; life < (between ? 1 : 3); life++) {
      const race = { point, nth: chance.between(10, 40), signal: 'kill' } as const;
      await using tracking = await startService('tracking', { ...place, race });
      load ??= await startBatchLoad({ address: tracking.address, clients: 8, restMs: 10 });
      await tracking.reached;
      await tracking.kill9();
      await between?.(tracking, bus);
    }
    await using _ = await startService('tracking', place);
    await load?.stop();
    // What is lost on purpose is not worth a long wait.
    return await batchesInStream(load!, bus, { lagMs: between ? 5_000 : 30_000 });
  } finally {
    await load?.stop();
    load?.close();
    await bus.close();
  }
}

/** Lets the stream of tracking forget the ids it knows: what it would do by itself after its window of ten minutes. */
export async function outlastWindow(bus: Bus): Promise<void> {
  const manager = await bus.manager();
  await manager.streams.update('MILLRACE_TRACKING', { duplicate_window: 100e6 });
  await sleep(500);
}
