import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, connectBus } from '@millrace/events';
import {
  freePort,
  startNats,
  startService,
  type TestNats,
  type TestService,
  tempDir,
} from '@millrace/testing';
import { type BatchLoad, startBatchLoad } from './batch-load.ts';
import type { Chance, Outcome } from './scenario.ts';
import { batchesInStream } from './streams.ts';

/** At which time of coming by it dies: events before a publish, batches of them after one. */
const moments = { 'relay.before-publish': [60, 150], 'relay.after-publish': [10, 40] } as const;

export interface RelayKills {
  readonly point: keyof typeof moments;
  /** Done to what the killed service left behind, before it is started again. */
  readonly between?: (
    service: Pick<TestService, 'name' | 'dataDir'>,
    bus: Bus,
    nats: TestNats,
  ) => Promise<void>;
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
  const [from, to] = moments[point];
  let load: BatchLoad | undefined;
  try {
    for (let life = 0; life < (between ? 1 : 3); life++) {
      const race = { point, nth: chance.between(from, to), signal: 'kill' } as const;
      await using tracking = await startService('tracking', { ...place, race }).catch(diedEarly);
      load ??= await startBatchLoad({ address: `127.0.0.1:${place.port}`, clients: 8, restMs: 10 });
      await tracking?.reached;
      await tracking?.kill9();
      await between?.({ name: 'tracking', dataDir: folder.path }, bus, nats);
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

/** It may come to its race point while it starts, with what the life before has left to publish. */
function diedEarly(error: unknown): undefined {
  if (!String(error).includes('race point')) throw error;
}

/**
 * Lets the stream of tracking forget the ids it knows: what it would do by itself after its window of ten minutes. A server
 * that starts again remembers the ids of the window alone; one that runs forgets them when it finds the time.
 */
export async function outlastWindow(bus: Bus, nats: TestNats): Promise<void> {
  const manager = await bus.manager();
  await manager.streams.update('MILLRACE_TRACKING', { duplicate_window: 100e6 });
  await sleep(500);
  const reconnected = new Promise<void>((resolve) => {
    const off = bus.onConnect(() => {
      off();
      resolve();
    });
  });
  await nats.restart();
  await reconnected;
}
