import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { startService, until } from '@millrace/testing';
import { readPoints, startBatchLoad } from '../batch-load.ts';
import { ask, heard, startClients } from '../clients.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import type { SwarmTold } from '../swarm.ts';
import { tally } from '../tally.ts';
import { missingCounts, openFiles, residentBytes } from '../wire.ts';

/** Most connections the service takes in the run; the clients want more. */
const mostConnections = 1_500;
/** Store, log, the connections of who watches over it, and what is on its way to be closed. */
const otherFiles = 64;
const mostBytes = 1_500 * 1024 ** 2;
/** OK, RESOURCE_EXHAUSTED, UNAVAILABLE, and a connection that is closed, which clients call UNAVAILABLE. */
const fair = ['0', '8', '14', 'none'];

interface Crowd {
  readonly processes: number;
  readonly clients: number;
  /** How long they are all there. */
  readonly forMs: number;
}

async function crowd(
  { processes, clients, forMs }: Crowd,
  limit: number,
  limited: boolean,
): Promise<Outcome> {
  const env = { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' };
  await using tracking = await startService('tracking', {
    env: limited ? { ...env, MAX_CONNECTIONS: String(limit) } : env,
  });
  const { pid, address } = tracking;
  // Was there before the crowd, and is served all the time.
  const load = await startBatchLoad({ address, clients: 2, runs: 1, restMs: 20 });
  const breaches: string[] = [];
  let swarms: ChildProcess[] = [];
  let [mostFiles, most] = [0, 0];
  const watching = setInterval(async () => {
    mostFiles = Math.max(mostFiles, await openFiles(pid).catch(() => 0));
    most = Math.max(most, await residentBytes(pid).catch(() => 0));
  }, 100);
  try {
    const files = await openFiles(pid);
    const run = load.runs[0] ?? '';
    swarms = Array.from({ length: processes }, (_, p) =>
      startClients('swarm.ts', { address, run, name: `p${p}`, clients }),
    );
    await Promise.all(swarms.map(heard));
    await sleep(forMs);
    const all = await Promise.all(swarms.map((swarm) => ask<SwarmTold>(swarm, 'end')));
    const before = load.acknowledged.size;
    await until(() => load.acknowledged.size > before + 20, {
      what: 'answers after the crowd has left',
      timeoutMs: 60_000,
    });
    const gone = async () => (await openFiles(pid)) <= files;
    await until(gone, { timeoutMs: 60_000 }).catch(() =>
      breaches.push('connections of the crowd are still open'),
    );
    clearInterval(watching);
    await load.stop();

    const statuses = all.flatMap((one) => Object.keys(one.statuses));
    const unfair = [...new Set(statuses)].filter((status) => !fair.includes(status));
    if (unfair.length > 0) breaches.push(`clients were answered with the statuses ${unfair.join(', ')}`);
    if (tracking.pid !== pid) breaches.push('the process ended');
    if (mostFiles > limit + otherFiles)
      breaches.push(`${mostFiles} files were open, allowed for ${limit} connections`);
    if (most > mostBytes) breaches.push(`${Math.round(most / 1024 ** 2)} MiB were resident`);
    const acknowledged = [...load.acknowledged, ...all.flatMap((one) => one.acknowledged)];
    const maybe = [...load.unanswered, ...all.flatMap((one) => one.maybe)];
    const found = tally(acknowledged, await readPoints(load), maybe);
    return { ...found, breaches: [...breaches, ...load.surprises, ...found.breaches] };
  } finally {
    clearInterval(watching);
    for (const swarm of swarms) swarm.kill('SIGKILL');
    await load.stop();
    load.close();
  }
}

export const scenario: Scenario = {
  number: 31,
  name: '2,000 clients of four processes log at once, where 1,500 may connect',
  invariant:
    'answered or told to come again; nothing acknowledged is lost; files and memory bounded; it recovers',
  missing: () => missingCounts(4_000),
  run: () => crowd({ processes: 4, clients: 500, forMs: 4_000 }, mostConnections, true),
  // The limit is not set.
  control: () => crowd({ processes: 1, clients: 300, forMs: 3_000 }, 20, false),
};
