import type { Chance } from '@millrace/testing';

export { type Chance, createChance } from '@millrace/testing';

/** What was found by reading through the public API after the fault. */
export interface Outcome {
  /** Acknowledged operations that were looked for. */
  readonly checked: number;
  /** How many of them are not there. */
  readonly lost: number;
  /** How many are there, or took effect, more than once. */
  readonly doubled: number;
  /** Whatever else does not hold, in words; at most a few. */
  readonly breaches: readonly string[];
  /** Why the fault did not meet its moment, so that nothing was tested; says nothing about what must hold. */
  readonly missed?: string | undefined;
}

/** One fault and what must hold in spite of it. One file each in `scenarios/`, named by its number and name. */
export interface Scenario {
  /** Orders the table; the number people use when they talk of it. */
  readonly number: number;
  /** What is done: "kill -9 of tracking under load". */
  readonly name: string;
  /** What must hold afterwards, in a few words. */
  readonly invariant: string;
  /** Ten seconds at the most, with Node and nats-server alone: it is part of `npm test` too. */
  readonly fast?: boolean;
  /** Compares speeds, so nothing else may run beside it. */
  readonly alone?: boolean;
  /** The longest it may take on a machine with nothing else to do, its control included. @default 90000 */
  readonly limitMs?: number;
  /** Why it cannot run on this machine; undefined when it can. */
  readonly missing?: () => Promise<string | undefined>;
  readonly run: (chance: Chance) => Promise<Outcome>;
  /**
   * The same check where the protection is taken away, or on a history that was spoiled: it must find something, or
   * the check checks nothing.
   */
  readonly control: (chance: Chance) => Promise<Outcome>;
}

export const isSound = ({ lost, doubled, breaches }: Outcome): boolean =>
  lost === 0 && doubled === 0 && breaches.length === 0;

/** What the run and the control say together; empty when all is well. */
export function problemsOf(run: Outcome, control: Outcome): string[] {
  const problems = run.breaches.slice(0, 5);
  if (run.missed !== undefined) problems.push(`${run.missed}, so nothing was tested`);
  if (run.checked === 0) problems.push('nothing was checked');
  if (run.lost > 0) problems.push(`${run.lost} of ${run.checked} acknowledged operations are lost`);
  if (run.doubled > 0) problems.push(`${run.doubled} operations took effect twice`);
  if (isSound(control)) problems.push('the control found nothing, so this check cannot fail');
  return problems;
}
