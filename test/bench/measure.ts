import type { Figures, Row, Sides, Summary } from './row.ts';
import { type Statistic, statisticOf } from './statistics.ts';

/** One row, measured. */
export interface Measured {
  readonly row: Row;
  readonly summary?: Summary;
  readonly seconds: number;
  /** The aims that do not hold. */
  readonly missed: readonly string[];
  /** How many rounds were counted. */
  readonly rounds: number;
  /** Why it could not be measured. */
  readonly failure?: string;
}

/**
 * Measures a row: floor and ours in turn, so that a machine whose speed drifts slows both; the first round warms up and
 * is not counted. Never throws.
 */
export async function measure(row: Row, rounds: number, tell: (text: string) => void): Promise<Measured> {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  let sides: Sides | undefined;
  try {
    sides = await row.open();
    const [ours, floors]: Figures[][] = [[], []];
    for (let round = 0; round <= rounds; round++) {
      tell(round === 0 ? 'warming up' : `round ${round} of ${rounds}`);
      // The order is turned each round: what one leaves behind (heat, page cache, garbage) hits both.
      const turn = [
        async () => void floors!.push((await sides!.floor?.()) ?? {}),
        async () => void ours!.push(await sides!.ours()),
      ];
      for (const side of round % 2 === 0 ? turn : turn.reverse()) await side();
    }
    const summary = summarize(ours!.slice(1), floors!.slice(1));
    const missed = row.aims.filter((aim) => !aim.holds(summary)).map(({ text }) => text);
    return { row, summary, seconds: seconds(), missed, rounds };
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { row, seconds: seconds(), missed: [], rounds, failure };
  } finally {
    await sides?.close();
  }
}

function summarize(ours: readonly Figures[], floors: readonly Figures[]): Summary {
  return {
    ours: byName(ours, (figures, name) => figures[name]),
    floor: byName(floors, (figures, name) => figures[name]),
    ratio: byName(
      ours,
      (figures, name, round) => (figures[name] ?? 0) / (floors[round]?.[name] ?? Number.NaN),
    ),
  };
}

function byName(
  rounds: readonly Figures[],
  pick: (figures: Figures, name: string, round: number) => number | undefined,
): Record<string, Statistic> {
  const names = [...new Set(rounds.flatMap((figures) => Object.keys(figures)))];
  const statistics = names.map((name) => {
    const values = rounds.map((figures, round) => pick(figures, name, round) ?? Number.NaN);
    return [name, statisticOf(values.filter((value) => !Number.isNaN(value)))] as const;
  });
  return Object.fromEntries(statistics.filter(([, { median }]) => !Number.isNaN(median)));
}
