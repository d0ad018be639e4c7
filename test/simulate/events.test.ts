import { expect, test } from 'vitest';
import { firstBreach, seedsFrom } from './simulation.ts';
import { simulation } from './simulations/events.ts';

test('what is acknowledged arrives and takes effect once, whatever goes wrong', {
  timeout: 120_000,
}, async () => {
  expect(await firstBreach(simulation, seedsFrom(1, 150))).toBeUndefined();
});

test.each(simulation.controls)('it is missed soon: %s', { timeout: 60_000 }, async (control) => {
  expect(await firstBreach(simulation, seedsFrom(1, 50), control)).toBeDefined();
});

test('the same seed is the same world', async () => {
  const told: string[][] = [[], []];
  for (const lines of told) await simulation.play(11, { trace: (line) => lines.push(line) });
  expect(told[0]!.length).toBeGreaterThan(100);
  expect(told[0]).toEqual(told[1]);
});
