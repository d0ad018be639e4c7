import type { Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { type SwapOptions, swapUnderLoad } from '../../e2e/hot-swap.ts';
import type { Chance, Outcome, Scenario } from '../scenario.ts';
import { startServingSuite } from '../serving-suite.ts';
import { repeated } from '../tally.ts';

const unloaded = 'millrace.serving.model.unloaded.v1';

/** Versions 1 to 3, none twice in a row, and each of them. */
function orderOf(chance: Chance, swaps: number): number[] {
  const order = [2, 3];
  while (order.length < swaps)
    order.push(chance.pick([1, 2, 3].filter((version) => version !== order.at(-1))));
  return order;
}

async function swap(options: (millrace: Millrace) => SwapOptions): Promise<Outcome> {
  await using started = await startServingSuite();
  const { millrace } = started;
  const { order, ...how } = options(millrace);
  const { load, last } = await swapUnderLoad(millrace, { order, ...how });
  const breaches: string[] = [];
  if (load.failures.length > 0) breaches.push(`${load.failures.length} requests failed: ${load.failures[0]}`);
  if (load.wrong.length > 0)
    breaches.push(`${load.wrong.length} answers are not of one version: ${load.wrong[0]}`);
  if (last !== String(order.at(-1))) breaches.push(`version ${last} answers instead of ${order.at(-1)}`);
  const record = millrace.eventLog('serving');
  const gone = async () => (await record.listEvents({ types: [unloaded], pageSize: 1_000 })).events.length;
  await until(async () => (await gone()) >= order.length).catch(async () => {
    breaches.push(`${order.length} versions were replaced and ${await gone()} were let go`);
  });
  return { checked: load.answered + load.failures.length, lost: 0, doubled: 0, breaches };
}

export const scenario: Scenario = {
  number: 27,
  name: 'a model is swapped again and again while requests keep coming',
  invariant: 'no request fails, each answer is of exactly one version, the old version is drained and let go',
  run: (chance) => swap(() => ({ order: orderOf(chance, 12) })),
  // Swapped as one does by hand: the old one is unloaded, then the new one is loaded.
  control: () =>
    repeated(3, () =>
      swap(({ registry, inference }) => ({
        order: [2],
        swap: async (alias, version) => {
          await inference.repositoryModelUnload({ modelName: 'swapped' });
          await registry.setAlias({ name: alias, version });
          await inference.repositoryModelLoad({ modelName: 'swapped' });
        },
      })),
    ),
};
