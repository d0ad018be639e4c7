import { expect, test } from 'vitest';
import { loadScenarios, play } from './catalogue.ts';

/** The fast scenarios of `npm run test:faults`, one moment each. */
const seed = 1;

for (const scenario of (await loadScenarios()).filter(({ fast }) => fast))
  test(`${scenario.number} ${scenario.name}: ${scenario.invariant}`, { timeout: 60_000 }, async ({
    skip,
  }) => {
    const { problems, skipped } = await play(scenario, seed);
    if (skipped) skip(skipped);
    expect(problems).toEqual([]);
  });
