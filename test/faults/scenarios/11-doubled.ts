import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { servingEvents } from '@millrace/contracts';
import { type Bus, publish } from '@millrace/events';
import { type Millrace, toBatch } from '@millrace/sdk';
import { until } from '@millrace/testing';
import {
  applyMoveTrigger,
  moveAliases,
  prepareModels,
  type Site,
  startedMoves,
  startSite,
} from '../alias-moves.ts';
import { type BridgeOptions, startBridge } from '../bridge.ts';
import { differences } from '../demo/end-state.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated } from '../tally.ts';

const firstMs = Date.UTC(2001, 5, 14);
const hourMs = 3_600_000;
const hours = 4;
const batchesPerHour = 3;
const batchRows = 10;
const movesOfEach = 4;
const deployment = 'projects/default/deployments/scores';

/**
 * One orchestrator and one monitoring service get every event once; another pair gets them over a bridge that carries each
 * of them twice, as messages of their own.
 */
async function double(chance: Chance, deform?: BridgeOptions['deform']): Promise<Outcome> {
  await using near = await startSite(['registry', 'orchestrator', 'monitoring']);
  await using far = await startSite(['orchestrator', 'monitoring']);
  const [from, to] = [near.bus, far.bus];
  const way = { from, to, faults: { duplicate: 1 }, chance, ...(deform ? { deform } : {}) };
  const bridges = await Promise.all([
    startBridge({ ...way, context: 'registry' }),
    startBridge({ ...way, context: 'serving' }),
  ]);
  for (const { millrace } of [near, far]) {
    await until(() => applyMonitor(millrace).then(() => true));
    await until(() => applyMoveTrigger(millrace).then(() => true));
  }
  const aliases = await prepareModels(near.millrace);
  const [moves, batches] = await Promise.all([
    moveAliases(near.millrace, chance, aliases, movesOfEach),
    logInferences(near.bus),
  ]);
  const once = await settled(near, moves);
  const carried = () => bridges.flatMap((bridge) => bridge.carried).length;
  await until(() => carried() >= 2 * (moves + batches), { timeoutMs: 60_000, what: 'all being carried' });
  const twice = await settled(far, moves);
  await Promise.all(bridges.map((bridge) => bridge.stop()));
  const breaches = differences(once, twice, 'after doubled deliveries');
  const count = ({ runs }: State) => runs.length;
  return {
    checked: moves + batches,
    lost: Math.max(0, moves - count(twice)),
    doubled: Math.max(0, count(twice) - moves),
    breaches,
  };
}

/** A monitor of one-hour windows. */
async function applyMonitor({ monitoring, parent }: Millrace): Promise<void> {
  const window = { length: durationFromMs(hourMs), minRows: 1 };
  await monitoring.applyMonitor({ monitor: { name: `${parent}/monitors/scores`, deployment, window } });
}

/** Logs inferences hour after hour, as serving does; without ids of theirs, so that only the event's tells a batch again. */
async function logInferences(bus: Bus): Promise<number> {
  for (let batch = 0; batch < hours * batchesPerHour; batch++) {
    const fromMs = firstMs + Math.floor(batch / batchesPerHour) * hourMs + (batch % batchesPerHour) * 60_000;
    const values = Array.from({ length: batchRows }, (_, row) => row);
    await publish(bus, servingEvents.inferenceLogged, {
      project: 'default',
      resource: deployment,
      id: `batch-${batch}`,
      data: {
        deployment,
        modelVersion: 'projects/default/models/m/versions/1',
        sampleRate: 1,
        inferenceIds: values.map(() => ''),
        requestIds: values.map(() => ''),
        eventTimes: values.map((row) => BigInt((fromMs + row * 1_000) * 1_000)),
        inputs: toBatch({ x: { type: 'double', values } }),
        outputs: toBatch({ score: { type: 'double', values } }),
      },
    });
  }
  return hours * batchesPerHour;
}

interface State {
  readonly runs: readonly string[];
  readonly reports: readonly unknown[];
}

/** What is seen of a site when nothing changes any more. */
async function settled({ millrace }: Site, moves: number): Promise<State> {
  const look = async (): Promise<State> => {
    const { reports } = await millrace.monitoring.listReports({
      parent: `${millrace.parent}/monitors/scores`,
    });
    return {
      runs: await startedMoves(millrace),
      reports: reports.map(({ windowStart, rowCount }) => [windowStart?.seconds, rowCount]),
    };
  };
  for (;;) {
    const before = await until(
      async () => {
        const state = await look();
        return state.runs.length >= moves && state.reports.length >= hours - 1 && state;
      },
      { timeoutMs: 60_000, what: 'all runs and reports' },
    );
    // Time for what should not come.
    await sleep(700);
    if (isDeepStrictEqual(before, await look())) return before;
  }
}

export const scenario: Scenario = {
  number: 11,
  name: 'every message is delivered twice',
  invariant: 'runs started and rows counted are those of single delivery',
  run: (chance) => double(chance),
  // The copy carries an id of its own, by which nobody can tell that it is the same event.
  control: (chance) =>
    repeated(3, () =>
      double(chance, (message, copy) => {
        const own = new Map(
          [...(message.headers?.keys() ?? [])].map((key) => [key, message.headers!.get(key)!]),
        );
        if (copy > 1) own.set('ce-id', `${own.get('ce-id')}-${copy}`);
        return { ...message, headers: own };
      }),
    ),
};
