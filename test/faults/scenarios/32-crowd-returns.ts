import { once } from 'node:events';
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { startService } from '@millrace/testing';
import { readPoints, startBatchLoad } from '../batch-load.ts';
import { ask, startClients } from '../clients.ts';
import type { CrowdTold } from '../crowd.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import { tally, together } from '../tally.ts';

const processes = 2;
const clients = 200;
const awayMs = 6_000;
/** Until then each tries at once and often, which leaves nothing to spread; what comes later must be spread. */
const soonMs = 2_000;
const windowMs = 200;
/** How many of the clients may come within one window. In step all of them do. */
const mostShare = 0.35;
/** Puts the clients in step: nothing they draw at random differs. */
const inStep = ['--import', 'data:text/javascript,Math.random=()=>0.5'];

interface Return {
  /** What was acknowledged, against what is there. */
  readonly found: Outcome;
  /** Where too many came at the same time. */
  readonly crowded: readonly string[];
  /** The longest time in which a crowd, or who counts them, had no turn. */
  readonly stillMs: number;
}

/** Kills tracking under a crowd and counts who knocks at its door until it is back. */
async function comeBack(execArgv: readonly string[]): Promise<Return> {
  await using tracking = await startService('tracking', {
    env: { NATS_URL: 'nats://127.0.0.1:1', LOG_LEVEL: 'warn' },
  });
  const { address } = tracking;
  const load = await startBatchLoad({ address, clients: 1, runs: 1, restMs: 500 });
  const run = load.runs[0] ?? '';
  const crowd = Array.from({ length: processes }, (_, p) =>
    startClients('crowd.ts', { address, run, name: `p${p}`, clients }, execArgv),
  );
  try {
    await Promise.all(crowd.map((one) => ask(one, 'again')));
    await tracking.kill9();
    const { knocks, countedStillMs } = await countKnocks(Number(address.split(':')[1]), awayMs);
    await tracking.restart();
    await Promise.all(crowd.map((one) => ask(one, 'again')));
    const told = await Promise.all(crowd.map((one) => ask<CrowdTold>(one, 'end')));
    await load.stop();
    const found = tally(
      [...load.acknowledged, ...told.flatMap((one) => one.acknowledged)],
      await readPoints(load),
      [...load.unanswered, ...told.flatMap((one) => one.maybe)],
    );
    const stillMs = Math.max(countedStillMs, ...told.map((one) => one.stillMs));
    return { found, crowded: spreadOf(knocks), stillMs };
  } finally {
    for (const one of crowd) one.kill('SIGKILL');
    await load.stop();
    load.close();
  }
}

/** Who had no turn comes with all that was due meanwhile, which tells of the machine and not of the clients: then once more. */
async function comeBackSpread(tries = 3): Promise<Outcome> {
  const { found, crowded, stillMs } = await comeBack([]);
  if (crowded.length > 0 && stillMs > windowMs / 2 && tries > 1)
    return together([found, await comeBackSpread(tries - 1)]);
  return withBreaches(found, crowded);
}

const withBreaches = (found: Outcome, more: readonly string[]): Outcome => ({
  ...found,
  breaches: [...found.breaches, ...more],
});

/** Listens in the place of a service that is away, and turns everybody away. Gives when they came, in milliseconds. */
async function countKnocks(port: number, forMs: number) {
  const knocks: number[] = [];
  const turns = monitorEventLoopDelay({ resolution: 10 });
  turns.enable();
  const begun = performance.now();
  const door = createServer((socket) => {
    knocks.push(performance.now() - begun);
    socket.on('error', () => undefined).resetAndDestroy();
  });
  await once(door.listen(port, '127.0.0.1'), 'listening');
  await sleep(forMs);
  await new Promise((resolve) => door.close(resolve));
  turns.disable();
  return { knocks, countedStillMs: turns.max / 1e6 };
}

/** Says where too many came at the same time, and where nobody came at all. */
function spreadOf(knocks: readonly number[]): string[] {
  const later = knocks.filter((at) => at > soonMs);
  const crowds = later.map((from) => later.filter((at) => at >= from && at < from + windowMs).length);
  const [most, all] = [Math.max(0, ...crowds), processes * clients];
  if (later.length < all) return [`${later.length} attempts of ${all} clients in ${awayMs} ms`];
  const share = Math.round((most / all) * 100);
  return most <= mostShare * all ? [] : [`${share} % of the clients came within ${windowMs} ms`];
}

export const scenario: Scenario = {
  number: 32,
  name: `${processes * clients} clients lose their service, which is back after ${awayMs / 1000} s`,
  invariant: `at most ${mostShare * 100} % of them come within ${windowMs} ms; all come back, nothing acknowledged is lost`,
  alone: true,
  run: () => comeBackSpread(),
  control: async () => {
    const { found, crowded } = await comeBack(inStep);
    return withBreaches(found, crowded);
  },
};
