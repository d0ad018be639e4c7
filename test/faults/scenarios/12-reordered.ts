import { setTimeout as sleep } from 'node:timers/promises';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { registryEvents } from '@millrace/contracts';
import { decodeHeaderValue, type OutgoingMessage } from '@millrace/events';
import type { Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import {
  applyMoveTrigger,
  moveAliases,
  prepareModels,
  startedMoves,
  startSite,
  versions,
} from '../alias-moves.ts';
import { type BridgeOptions, startBridge } from '../bridge.ts';
import { readRecord } from '../demo/records.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { repeated, tally, untilMet } from '../tally.ts';

const { aliasMoved } = registryEvents;
const movesOfEach = 15;

/**
 * Aliases move; what tells of it reaches serving and an orchestrator over a bridge that holds messages back and lets up to
 * 50 overtake one.
 */
async function reorder(chance: Chance, deform?: BridgeOptions['deform']): Promise<Outcome> {
  await using near = await startSite(['registry']);
  const REGISTRY_ADDRESS = near.suite.service('registry').address;
  await using far = await startSite(['serving', 'orchestrator'], { REGISTRY_ADDRESS });
  const aliases = await prepareModels(near.millrace);
  await until(() => applyMoveTrigger(far.millrace).then(() => true));
  const deployments = await deploy(far.millrace, aliases);
  const bridge = await startBridge({
    from: near.bus,
    to: far.bus,
    context: 'registry',
    faults: { window: 50, delayMs: 1_000 },
    chance,
    ...(deform ? { deform } : {}),
  });
  const moves = await moveAliases(near.millrace, chance, aliases, movesOfEach);
  const told = await readRecord(near.millrace, 'registry', [aliasMoved.type]);
  const expected = told
    .filter(({ data }) => fromBinary(aliasMoved.schema, data).previousVersion !== 0)
    .map(({ id }) => id);
  const started = () => startedMoves(far.millrace);
  await until(async () => (await started()).length >= moves, { timeoutMs: 60_000 }).catch(() => {});
  // Time for loading, and for what should not come; what was spoiled on purpose is not worth a long wait.
  const timeoutMs = deform ? 5_000 : 30_000;
  await until(() => allServe(far.millrace, deployments), { timeoutMs }).catch(() => {});
  await sleep(500);
  const outcome = tally(expected, await started());
  const breaches = [...outcome.breaches];
  for (const name of deployments) {
    const version = await servedBy(far.millrace, name);
    if (version !== versions) breaches.push(`${name} ended with version ${version}, not ${versions}`);
  }
  await bridge.stop();
  const overtaken = bridge.carried.filter((seq, i) => seq < (bridge.carried[i - 1] ?? 0)).length;
  return { ...outcome, breaches, missed: overtaken === 0 ? 'no message was overtaken' : undefined };
}

/** A deployment that follows each alias. */
function deploy({ deployments, parent }: Millrace, aliases: readonly string[]): Promise<string[]> {
  return Promise.all(
    aliases.map(async (name) => {
      const model = name.split('/aliases/')[0]!;
      const deploymentId = model.split('/').at(-1)!;
      await deployments.createDeployment({
        parent,
        deploymentId,
        deployment: { targets: [{ model, selector: { case: 'alias', value: 'live' }, weight: 1 }] },
      });
      return `${parent}/deployments/${deploymentId}`;
    }),
  );
}

async function servedBy({ deployments }: Millrace, name: string): Promise<number> {
  const { deployment } = await deployments.getDeployment({ name });
  return deployment?.targetStatuses[0]?.loadedVersion ?? 0;
}

async function allServe(millrace: Millrace, names: readonly string[]): Promise<boolean> {
  return (await Promise.all(names.map((name) => servedBy(millrace, name)))).every((one) => one === versions);
}

/** Takes the order away that a moved alias tells of itself: what arrives last seems to be the newest. */
function byArrival(): BridgeOptions['deform'] {
  let arrived = 1_000;
  return (message: OutgoingMessage) => {
    if (decodeHeaderValue(message.headers?.get('ce-type') ?? '') !== aliasMoved.type) return message;
    const data = fromBinary(aliasMoved.schema, message.data);
    return { ...message, data: toBinary(aliasMoved.schema, { ...data, revision: BigInt(++arrived) }) };
  };
}

export const scenario: Scenario = {
  number: 12,
  name: 'messages come up to a second late, overtaken by up to 50 others',
  invariant: 'deployments end with the version their alias names; each move starts one run',
  run: (chance) => untilMet(3, () => reorder(chance)),
  // The last move of each alias may come last all the same.
  control: (chance) => repeated(4, () => reorder(chance, byArrival())),
};
