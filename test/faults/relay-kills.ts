import { streamOf } from '@millrace/contracts';
import { type Bus, connectBus } from '@millrace/events';
import { freePort, startNats, startService, type TestService, tempDir, until } from '@millrace/testing';
import { type BatchLoad, startBatchLoad } from './batch-load.ts';
import { diedEarly } from './died-early.ts';
import type { Chance, Outcome } from './scenario.ts';
import { batchesInStream } from './streams.ts';

/** At which time of coming by it dies: events before a publish, batches of them after one. */
const moments = { 'relay.before-publish': [60, 150], 'relay.after-publish': [10, 40] } as const;

/** How often it is killed: what was in flight at one kill may be little. */
const lives = 3;

export interface RelayKills {
  readonly point: keyof typeof moments;
  /** Done to what the killed service left behind, before it is started again. */
  readonly between?: (service: Pick<TestService, 'name' | 'dataDir'>, bus: Bus) => Promise<void>;
}

/** Kills tracking where its relay is at a race point, under load, and looks into the stream. */
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
    for (let life = 0; life < lives; life++) {
      const race = { point, nth: chance.between(from, to), signal: 'kill' } as const;
      await using tracking = await startService('tracking', { ...place, race }).catch(diedEarly);
      load ??= await startBatchLoad({ address: `127.0.0.1:${place.port}`, clients: 8, restMs: 10 });
      await tracking?.reached;
      await tracking?.kill9();
      await between?.({ name: 'tracking', dataDir: folder.path }, bus);
    }
    await using _ = await startService('tracking', place);
    await load?.stop();
    // What is lost on purpose is not worth a long wait.
    return await batchesInStream(load!, bus, { ...(between ? { lagMs: 5_000 } : {}) });
  } finally {
    await load?.stop();
    load?.close();
    await bus.close();
  }
}

/**
 * Lets the stream of tracking forget the ids it knows: what it would do by itself after its window of ten minutes. Settles
 * when it has: a message under the newest id, at an impossible place, is a duplicate while the id is known and refused afterwards.
 */
export async function outlastWindow(bus: Bus): Promise<void> {
  const { name } = streamOf('tracking');
  const manager = await bus.manager();
  await manager.streams.update(name, { duplicate_window: 100e6 });
  const last = (await bus.readState(name))?.last ?? 0;
  const newest = await bus.readMessage(name, last);
  const msgID = newest?.headers?.get('Nats-Msg-Id');
  if (!newest || !msgID) throw new Error(`${name} has no message with an id at ${last}`);
  const jetstream = await bus.jetstream();
  await until(
    async () => {
      const options = { msgID, expect: { lastSequence: 2 ** 40 } };
      const answer = jetstream.publish(newest.subject, new Uint8Array(), options);
      return answer.then(
        () => false,
        (error: unknown) => String(error).includes('wrong last sequence'),
      );
    },
    { what: `${name} forgetting ${msgID}`, timeoutMs: 30_000 },
  );
}
