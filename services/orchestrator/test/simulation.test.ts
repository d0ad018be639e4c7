import { describe, expect, test } from 'vitest';
import { firstBreach, seedsFrom } from '../../../test/simulate/simulation.ts';
import { stormsFrom } from './simulation/land.ts';
import { simulation } from './simulation/simulation.ts';

const { play } = simulation;

test.each([
  ['faults', 1, 150],
  ['storms, where answers come later than a lease lasts', stormsFrom, 50],
])(
  'two orchestrators keep what they promise in worlds full of %s, and end all work',
  async (_, from, count) => {
    expect(await firstBreach(simulation, seedsFrom(from, count))).toBeUndefined();
  },
  120_000,
);

/** Worlds that once broke, and what for. */
test.each([
  [3, 'a claim whose answer was lost: the attempt was in nobody’s hands, and its run never ended'],
  [12, 'a clock that was set back: an attempt ended before it began'],
  [14, 'a take-over: a pending run started before the one that ran was known'],
  [45, 'an end that was never told: a cancelled run waited for it for ever'],
  [55, 'a clock that was set back: a run ended before it began'],
  [57, 'a store that failed while the end of an attempt was written: nobody handled the rejection'],
  [86, 'a restart: new work took room that work of before still had'],
  [359, 'a survey beside another: a run that was being taken up counted as known'],
  [907, 'a lease that was lost and come by again: new work took room that was taken'],
  [2002, 'a shard that came later: new work took room before its runs were counted'],
  [945, 'a start that a dead holder had asked for: it came late, and one run too many ran'],
  [1_001_737, 'a lease that was extended late: a start was put off and nobody came back to it'],
  [1_001_867, 'a run that was taken up for longer than the lease lasted: what was read was out of date'],
  [1_001_893, 'a lease whose extension was not answered: runs that were let go counted as known'],
  [5231, 'an executor that did not answer: the room of an attempt that runs was given away'],
  [99, 'a crash between a scheduled run and its record: the record denied the run'],
])('seed %d holds: %s', async (seed) => {
  expect((await play(seed)).breaches).toEqual([]);
});

test('the same seed is the same world', async () => {
  const tell = async () => {
    const lines: string[] = [];
    await play(7, { trace: (line) => lines.push(line) });
    return lines;
  };
  expect(await tell()).toEqual(await tell());
});

describe('is missed when it is taken away:', () => {
  /** Where to begin to look, so that the test is short: some protections matter in few worlds. */
  const from: Readonly<Record<string, number>> = {
    'compare-and-set at a claim': 210,
    'the refusal of ends in a terminal state': 40,
  };
  test.each(simulation.controls)(
    '%s',
    async (control) => {
      expect(await firstBreach(simulation, seedsFrom(from[control] ?? 1, 100), control)).toBeDefined();
    },
    120_000,
  );
});
