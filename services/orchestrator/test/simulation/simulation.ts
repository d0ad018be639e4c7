import { type DocumentStore, openDocuments } from '@millrace/documents';
import { createChance } from '@millrace/testing';
import type { Played, PlayOptions, Simulation } from '../../../../test/simulate/simulation.ts';
import { collections } from '../../src/store/store.ts';
import { breakages, unbroken } from './controls.ts';
import { createLand, type Land } from './land.ts';
import { createWorld } from './world.ts';

/** For how long there are faults, and within what time all must be done after they are healed; virtual. */
const faultsMs = 40_000;
const healedMs = 4 * 3_600_000;

/** Two orchestrators, their machines and the store they share, from a seed. */
export const simulation: Simulation = {
  name: 'orchestrator',
  controls: Object.keys(breakages),
  play: (seed, options = {}) => playIn(seed, options),
};

async function playIn(seed: number, { control, trace }: PlayOptions): Promise<Played> {
  const world = createWorld(createChance(seed), trace);
  const breaches: string[] = [];
  const onBreach = (breach: string) => {
    world.say('!', breach);
    if (breaches.length < 20) breaches.push(breach);
  };
  const documents: DocumentStore = await openDocuments({
    url: 'sqlite::memory:',
    collections,
    now: world.now,
  });
  // A rejection that nobody handles ends a real process.
  const onRejection = (error: unknown) => onBreach(`nobody handles the rejection of ${String(error)}`);
  process.on('unhandledRejection', onRejection);
  try {
    const breakage = control === undefined ? unbroken : breakages[control]!;
    const land: Land = await createLand({ world, documents, breakage, onBreach });
    await world.runUntil(() => breaches.length > 0, faultsMs);
    if (breaches.length === 0) {
      await land.heal();
      const done = await world.runUntil(() => breaches.length > 0 || land.isDone(), healedMs);
      if (!done) for (const open of land.open()) onBreach(open);
      if (breaches.length === 0) await land.checkEnd();
    }
  } finally {
    process.off('unhandledRejection', onRejection);
    await documents.close();
  }
  return { steps: world.steps(), breaches };
}
