import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { trackingEvents } from '@millrace/contracts';
import { LineageDirection } from '@millrace/contracts/registry';
import { connectBus, handler, noLog, subscribe } from '@millrace/events';
import { connect } from '@millrace/sdk';
import {
  freePort,
  missingDisk,
  startDisk,
  startPlainNats,
  startService,
  type TestDisk,
  until,
} from '@millrace/testing';
import { startBatchLoad } from '../batch-load.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { batchesInStream, lastInStream } from '../streams.ts';
import { repeated, tally, together, untilMet } from '../tally.ts';

const set = 'projects/default/trainingSets/late';

interface Cut {
  /** Whether tracking is there to publish again what was lost. */
  readonly refills: boolean;
  /** Whether the positions of the consumers reach the disk and the messages do not. */
  readonly torn: boolean;
}

/** Cuts the power of a NATS that syncs every two minutes, under load, and compares streams and consumers with the record. */
async function cutUnderLoad(chance: Chance, { refills, torn }: Cut): Promise<Outcome> {
  await using disk = await startDisk();
  const port = await freePort();
  const dataDir = ({ path }: TestDisk) => join(path, 'nats');
  const before = await startPlainNats({ dataDir: dataDir(disk), port });
  const env = { NATS_URL: before.url, LOG_LEVEL: 'warn' };
  const starting = [startService('tracking', { env }), startService('registry', { env })] as const;
  await using tracking = await starting[0];
  await using registry = await starting[1];
  const services = { tracking: tracking.address, registry: registry.address };
  const millrace = connect({ endpoints: { services }, project: 'default' });
  const bus = await connectBus({ url: before.url, name: 'observer' });
  const handled: string[] = [];
  const seen = new Set<string>();
  const on = handler(trackingEvents.metricsLogged, async ({ id, data }) => {
    if (!seen.has(id)) handled.push(data.batch);
    seen.add(id);
  });
  const observer = await subscribe(bus, { durable: 'observer', on: [on], log: noLog });
  const load = await startBatchLoad({ address: tracking.address, clients: 8, restMs: 10 });
  const edges: string[] = [];
  const linking = new AbortController();
  const linked = linkRuns(millrace, edges, linking.signal);
  try {
    await until(() => handled.length > 20 && edges.length > 5, {
      what: 'work before the cut',
      timeoutMs: 30_000,
    });
    if (torn) await syncAll(dataDir(disk));
    await sleep(chance.between(500, 1_500));
    const had = await lastInStream(bus, 'tracking');
    if (torn) await syncPositions(dataDir(disk));
    if (!refills) await Promise.all([tracking.kill9(), load.stop()]);
    await before.kill();
    await using rebooted = await disk.cut();
    const left = await lastOn(dataDir(rebooted));
    await using _ = await startPlainNats({ dataDir: dataDir(rebooted), port });
    await until(() => bus.connected, { what: 'the connection to come back' });
    await sleep(500);
    linking.abort();
    await Promise.all([load.stop(), linked]);

    const missed =
      left < had ? undefined : `the stream ended at ${had} and ends at ${left}: nothing was lost`;
    const lagMs = refills ? 60_000 : 2_000;
    const inStream = await batchesInStream(load, bus, { ordered: false, lagMs });
    const consumed = await settled(() => tally(load.batches, handled, load.unanswered), lagMs);
    const present = async () => tally(edges, await linksOf(millrace), edges);
    const graph = refills ? await settled(present, lagMs) : { ...inStream, checked: 0, lost: 0 };
    return { ...together([inStream, consumed, graph]), missed };
  } finally {
    linking.abort();
    await load.stop();
    await observer.stop(0);
    load.close();
    millrace.close();
    await bus.close();
    await Promise.all([before.kill(), tracking.kill9(), registry.kill9()]);
  }
}

/** Makes runs that read a training set: the registry, which listens, draws an edge for each. */
async function linkRuns(
  { tracking, parent }: ReturnType<typeof connect>,
  edges: string[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    // The same request again, where one was not answered.
    const request = {
      parent,
      run: { tags: [{ key: 'set', value: set }] },
      requestId: `link-${edges.length}`,
    };
    const { run } = await tracking.createRun(request).catch(() => ({ run: undefined }));
    if (run) edges.push(run.name);
    await sleep(30);
  }
}

/** The runs that the registry says have read the training set. */
async function linksOf({ lineage }: ReturnType<typeof connect>): Promise<string[]> {
  const request = { resource: set, direction: LineageDirection.DOWNSTREAM, depth: 1 };
  return (await lineage.getLineage(request)).edges.map(({ to }) => to);
}

/** Waits until nothing is missing, or the time is over. */
async function settled(compare: () => Outcome | Promise<Outcome>, lagMs: number): Promise<Outcome> {
  const end = performance.now() + lagMs;
  for (;;) {
    const outcome = await compare();
    if (outcome.lost === 0 || performance.now() > end) return outcome;
    await sleep(200);
  }
}

/** Where the stream of tracking ends on a disk, seen by a server that nobody else knows. */
async function lastOn(dataDir: string): Promise<number> {
  await using alone = await startPlainNats({ dataDir });
  const bus = await connectBus({ url: alone.url, name: 'observer' });
  const last = await lastInStream(bus, 'tracking');
  await bus.close();
  return last;
}

async function syncAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    await using file = await open(path, 'r');
    await file.sync();
  }
}

/** Where a consumer stands is in the folder `obs` of its stream. */
async function syncPositions(folder: string): Promise<void> {
  for (const path of await readdir(folder, { recursive: true }))
    if (path.endsWith('/obs')) await syncAll(join(folder, path));
}

export const scenario: Scenario = {
  number: 7,
  name: 'power cut of a NATS that syncs every two minutes',
  invariant: 'the streams are refilled from the record; consumers end as without the cut',
  missing: missingDisk,
  run: async (chance) =>
    together([
      await untilMet(3, () => cutUnderLoad(chance, { refills: true, torn: false })),
      await untilMet(3, () => cutUnderLoad(chance, { refills: true, torn: true })),
    ]),
  // Nobody there to publish again.
  control: (chance) => repeated(3, () => cutUnderLoad(chance, { refills: false, torn: false })),
};
