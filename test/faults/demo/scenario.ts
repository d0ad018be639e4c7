import type { Chance, Outcome } from '../scenario.ts';
import { differences, type EndState, streamsAspect } from './end-state.ts';
import { type Kill, killAll, kills } from './kills.ts';
import { type Played, play } from './play.ts';

const days = { live: '2001-06-09', until: '2001-06-16' };
const limitMs = 420_000;

/**
 * The example is played once in peace and then again while every service and NATS are killed with SIGKILL and started
 * again in the middle of it. The end states must be equal.
 */
export async function killsInTheDemonstration(chance: Chance): Promise<{ outcome: Outcome; calm: EndState }> {
  const peace = await play({ ...days, limitMs });
  let struck: readonly Kill[] = [];
  const disturbed = await play({
    ...days,
    limitMs,
    disturb: async (game) => {
      struck = await killAll(game, chance);
    },
  });
  const empty = Object.keys(peace.state).filter((aspect) => isEmpty(peace.state[aspect]));
  const missed = kills.filter((kill) => !struck.includes(kill));
  const changed = compare(peace.state, disturbed.state);
  const breaches = [
    ...empty.map((aspect) => `in peace: ${aspect} says nothing`),
    ...streamFaults('in peace', peace),
    ...streamFaults('with kills', disturbed),
    ...missed.map(({ victim, after }) => `${victim} was not killed at ${after}`),
    ...changed,
  ];
  const outcome = { checked: leaves(peace.state), lost: changed.length, doubled: 0, breaches };
  return { outcome, calm: peace.state };
}

/** Every aspect of an end state spoiled in turn: each must be told from the true one. */
export function spoiledStates(calm: EndState): Outcome {
  const aspects = Object.keys(calm);
  const unnoticed = aspects.filter((aspect) => compare(calm, { ...calm, [aspect]: 'spoiled' }).length === 0);
  if (unnoticed.length > 0) return { checked: aspects.length, lost: 0, doubled: 0, breaches: [] };
  return { checked: aspects.length, lost: aspects.length, doubled: 0, breaches: [] };
}

function compare(calm: EndState, other: EndState): string[] {
  return Object.keys(calm).flatMap((aspect) =>
    differences(calm[aspect], other[aspect]).map((text) => `${aspect}: ${text}`),
  );
}

/** A stream is a whole copy of its record, kills or not. */
function streamFaults(title: string, { state }: Played): string[] {
  const faults = Object.entries(state[streamsAspect] as Record<string, readonly string[]>);
  return faults.flatMap(([context, texts]) => texts.map((text) => `${title}: ${context}: ${text}`));
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value ?? {}).length === 0)
  );
}

/** How many single values an end state holds. */
function leaves(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, part) => sum + leaves(part), 0);
}
