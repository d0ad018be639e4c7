import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from '@millrace/rpc';
import { startFaultProxy, startService, until } from '@millrace/testing';
import { readPoints, startBatchLoad } from '../batch-load.ts';
import { attacks } from '../hostile-bytes.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { tally, together } from '../tally.ts';
import { begin, dial, frame, missingCounts, openFiles, residentBytes } from '../wire.ts';

const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn', KEEPALIVE_MS: '9000' };
/** What the attacks together may cost in memory: what all connections may hold, and as much again for what is on its way. */
const mostGrowthBytes = 640 * 1024 ** 2;

async function attackUnderLoad(chance: Chance): Promise<Outcome> {
  await using tracking = await startService('tracking', { env });
  const { pid, address } = tracking;
  const load = await startBatchLoad({ address, clients: 4, restMs: 20, deadlineMs: 30_000 });
  const breaches: string[] = [];
  try {
    const [files, before] = [await openFiles(pid), await residentBytes(pid)];
    let most = before;
    const watching = setInterval(async () => {
      most = Math.max(most, await residentBytes(pid).catch(() => 0));
    }, 100);
    const underWay = Object.values(attacks).map(async (attack) => {
      await sleep(chance.between(0, 1_000));
      return attack(address, 60_000);
    });
    breaches.push(...(await Promise.all(underWay)).flat());
    breaches.push(...(await slowButHonest(address)));
    clearInterval(watching);
    await load.stop();
    if (tracking.pid !== pid || load.failures > 0)
      breaches.push(`${load.failures} calls of good clients failed meanwhile`);
    if (most - before > mostGrowthBytes)
      breaches.push(`the memory grew by ${Math.round((most - before) / 1024 ** 2)} MiB`);
    const gone = async () => (await openFiles(pid)) <= files;
    await until(gone, { timeoutMs: 60_000 }).catch(() =>
      breaches.push('connections of attackers are still open'),
    );
    const found = tally(load.acknowledged, await readPoints(load), load.unanswered);
    return { ...found, breaches: [...breaches, ...load.surprises, ...found.breaches] };
  } finally {
    await load.stop();
    load.close();
  }
}

/** A client whose line passes one byte at a time is slow, and no attacker: it is answered. */
async function slowButHonest(address: string): Promise<string[]> {
  await using proxy = await startFaultProxy(address);
  proxy.drip(2);
  const session = dial(proxy.address);
  const call = begin(session, '/grpc.health.v1.Health/Check');
  call.stream.end(frame(Buffer.alloc(0)));
  const status = await call.status;
  session.destroy();
  return status === 0 ? [] : [`an honest client on a slow line was answered ${status}`];
}

/** The same attacks on a server without limits. */
async function attackUnlimited(): Promise<Outcome> {
  const server = await createServer({
    implementations: [],
    maxMessageBytes: 2 ** 30,
    maxHeldBytes: Number.MAX_SAFE_INTEGER,
    keepalive: { everyMs: 3_600_000, timeoutMs: 3_600_000 },
  });
  try {
    const found = await attacks['requests that never end, many at once']!(server.address, 4_000);
    return together([{ checked: 1, lost: 0, doubled: 0, breaches: found }]);
  } finally {
    await server.stop();
  }
}

export const scenario: Scenario = {
  number: 30,
  name: 'bombs, lies about sizes, requests and headers that never end, resets, other protocols',
  invariant: 'limits hold, memory is bounded, every call of the good clients is answered meanwhile',
  missing: () => missingCounts(1_000),
  run: attackUnderLoad,
  control: attackUnlimited,
};
