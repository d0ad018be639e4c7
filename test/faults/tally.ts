import { isSound, type Outcome } from './scenario.ts';

/**
 * Compares what was acknowledged with what is there. `maybe` holds operations whose answer never came: these may be
 * there once or not at all.
 */
export function tally(
  acknowledged: Iterable<string>,
  present: Iterable<string>,
  maybe: Iterable<string> = [],
): Outcome {
  const counts = new Map<string, number>();
  for (const id of present) counts.set(id, (counts.get(id) ?? 0) + 1);
  const promised = new Set(acknowledged);
  const known = new Set([...promised, ...maybe]);
  const strangers = [...counts.keys()].filter((id) => !known.has(id));
  return {
    checked: promised.size,
    lost: [...promised].filter((id) => !counts.has(id)).length,
    doubled: [...counts.values()].filter((count) => count > 1).length,
    breaches: strangers.length > 0 ? [`${strangers.length} that nobody asked for: ${strangers[0]}`] : [],
  };
}

/** One outcome of several. */
export function together(outcomes: readonly Outcome[]): Outcome {
  const sum = (count: (outcome: Outcome) => number) => outcomes.reduce((all, one) => all + count(one), 0);
  return {
    checked: sum((one) => one.checked),
    lost: sum((one) => one.lost),
    doubled: sum((one) => one.doubled),
    breaches: outcomes.flatMap((one) => one.breaches),
    missed: outcomes.find((one) => one.missed !== undefined)?.missed,
  };
}

/** A control whose fault must hit a moment: tried again until it found something, at most so often. */
export async function repeated(times: number, control: () => Promise<Outcome>): Promise<Outcome> {
  const outcome = await control();
  return isSound(outcome) && times > 1 ? repeated(times - 1, control) : outcome;
}

/** A run whose fault must meet a moment: done again until it did, at most so often. What any of them found counts. */
export async function untilMet(times: number, run: () => Promise<Outcome>): Promise<Outcome> {
  const outcome = await run();
  if (outcome.missed === undefined || times === 1) return outcome;
  const next = await untilMet(times - 1, run);
  return { ...together([outcome, next]), missed: next.missed };
}
