import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createChance, type Outcome, problemsOf, type Scenario } from './scenario.ts';

/** How many times as long as its limit says a scenario may take on a machine that is slow or busy. */
const slowness = 2;

const folder = join(import.meta.dirname, 'scenarios');

/** All scenarios, by number: each file in `scenarios/` exports one as `scenario`. */
export async function loadScenarios(): Promise<readonly Scenario[]> {
  const files = (await readdir(folder)).filter((file) => /^\d+-.*\.ts$/.test(file));
  const found = await Promise.all(
    files.map(async (file) => ((await import(join(folder, file))) as { scenario: Scenario }).scenario),
  );
  return found.sort((a, b) => a.number - b.number);
}

/** How one scenario went. */
export interface Report {
  readonly scenario: Scenario;
  readonly seconds: number;
  /** Why it was not run. */
  readonly skipped?: string;
  readonly run?: Outcome;
  readonly control?: Outcome;
  /** Empty when all is well. */
  readonly problems: readonly string[];
}

/** The longest it may take on a machine with nothing else to do, in milliseconds. */
export const limitOf = ({ limitMs = 90_000 }: Scenario): number => limitMs;

/** Runs a scenario and its control, within its limit. Never throws. */
export async function play(scenario: Scenario, seed: number): Promise<Report> {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const skipped = await scenario.missing?.();
  if (skipped !== undefined) return { scenario, seconds: seconds(), skipped, problems: [] };
  const limitMs = slowness * limitOf(scenario);
  try {
    const both = async () => {
      const run = await scenario.run(createChance(seed));
      return { run, control: await scenario.control(createChance(seed)) };
    };
    const { run, control } = await within(limitMs, both());
    return { scenario, seconds: seconds(), run, control, problems: problemsOf(run, control) };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { scenario, seconds: seconds(), problems: [text] };
  }
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took more than ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
