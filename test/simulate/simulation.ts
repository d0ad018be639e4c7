/** What a world that was played to its end tells. */
export interface Played {
  /** How many steps the world took. */
  readonly steps: number;
  /** What did not hold, in words; empty when all did. */
  readonly breaches: readonly string[];
}

export interface PlayOptions {
  /** One of `controls`: the world with that protection taken away. */
  readonly control?: string;
  /** Gets a line for each thing that happens, with its virtual time. */
  readonly trace?: (line: string) => void;
}

/**
 * Code of the product in a world of one process, in which time, chance, messages and faults follow from a seed. One file
 * each in `simulations/`.
 */
export interface Simulation {
  /** As `--only` names it. */
  readonly name: string;
  /** Names of protections that can be taken away; each must be missed by some seed. */
  readonly controls: readonly string[];
  /** Plays the world of a seed. The same seed is the same world, step by step. */
  play(seed: number, options?: PlayOptions): Promise<Played>;
}

/** The first of some seeds whose world breaks something; undefined when all hold. */
export async function firstBreach(
  { play }: Simulation,
  seeds: Iterable<number>,
  control?: string,
): Promise<{ readonly seed: number; readonly breaches: readonly string[] } | undefined> {
  for (const seed of seeds) {
    const { breaches } = await play(seed, control === undefined ? {} : { control });
    if (breaches.length > 0) return { seed, breaches };
  }
  return undefined;
}

/** `count` seeds from `first` on. */
export function* seedsFrom(first: number, count: number): Generator<number> {
  for (let seed = first; seed < first + count; seed++) yield seed;
}
