/**
 * `npm run simulate`: worlds of one process, thousands of seeds, and the controls that must fail.
 *   --only orchestrator    one of the simulations
 *   --seeds 5000           how many worlds of each
 *   --from 1               the first seed
 *   --seed 7               one world, with everything that happens in it
 *   --control NAME         the worlds with that protection taken away
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { firstBreach, type Simulation, seedsFrom } from './simulation.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    control: { type: 'string' },
  },
});
const { control } = options;
const wanted = options.only?.split(',');
const simulations = (await load()).filter(({ name }) => wanted?.includes(name) ?? true);
let failed = simulations.length === 0;
for (const simulation of simulations)
  if (options.seed === undefined) await playMany(simulation);
  else await playOne(simulation, Number(options.seed));
// What a pipe has not taken yet is gone when the process ends.
process.stdout.write('', () => process.exit(failed ? 1 : 0));

async function load(): Promise<Simulation[]> {
  const folder = join(import.meta.dirname, 'simulations');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort();
  return Promise.all(
    names.map(async (name) => ((await import(join(folder, name))) as { simulation: Simulation }).simulation),
  );
}

/** One world, told step by step. */
async function playOne({ name, play }: Simulation, seed: number): Promise<void> {
  const { steps, breaches } = await play(seed, {
    trace: (line) => console.log(line),
    ...(control === undefined ? {} : { control }),
  });
  console.log(`${name}, seed ${seed}: ${steps} steps, ${breaches.length} breaches`);
  for (const breach of breaches) console.log(`  ${breach}`);
  failed ||= breaches.length > 0;
}

/** Many worlds, then each control until it is caught. */
async function playMany(simulation: Simulation): Promise<void> {
  const { name, controls, play } = simulation;
  const begun = performance.now();
  const [first, count] = [Number(options.from), Number(options.seeds)];
  const broken: number[] = [];
  let steps = 0;
  for (const seed of seedsFrom(first, count)) {
    const played = await play(seed, control === undefined ? {} : { control });
    steps += played.steps;
    if (played.breaches.length === 0) continue;
    broken.push(seed);
    if (broken.length <= 20)
      console.log(`✗ ${name} --seed ${seed}: ${played.breaches.slice(0, 3).join('\n    ')}`);
  }
  const seconds = (performance.now() - begun) / 1000;
  console.log(`${name}: ${count} worlds, ${steps} steps, ${broken.length} broken, ${seconds.toFixed(1)} s`);
  failed ||= broken.length > 0;
  if (control !== undefined) return;
  for (const taken of controls) {
    // A world that is broken anyway shows nothing.
    const sound = seedsFrom(first, count).filter((seed) => !broken.includes(seed));
    const found = await firstBreach(simulation, sound, taken);
    failed ||= found === undefined;
    console.log(
      found
        ? `✓ without ${taken}: caught at seed ${found.seed}: ${found.breaches[0]}`
        : `✗ without ${taken}: not caught in ${count} worlds`,
    );
  }
}
