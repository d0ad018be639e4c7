import { from, kinds } from '@millrace/errors';

/** How often recording the end of an attempt is tried one pause apart. */
const firstTries = 5;
/** Between the first tries, and at most between later ones, in milliseconds. */
const [firstPauseMs, mostPauseMs] = [1000, 10_000];

/** Kinds that pass by waiting have codes that do not: what is too large stays so. */
const lasting: ReadonlySet<string> = new Set(['TOO_LARGE', 'EVENT_TOO_LARGE']);

/**
 * Whether recording the end of an attempt is given up, after so many tries. What keeps logs, outputs and documents may be
 * away or full: that passes, and a step that is done must not be done again for it. Waiting for that ends only with the
 * run. What the attempt left may also be unreadable for good; then nothing is known of it.
 */
export function isGivenUp(error: unknown, tries: number, stopped: boolean): boolean {
  const { kind, code } = from(error);
  const passes = kinds[kind].retryable && !lasting.has(code);
  return tries >= firstTries && (stopped || !passes);
}

/** How long to wait after a try, in milliseconds. */
export function pauseAfterMs(tries: number): number {
  return Math.min(mostPauseMs, firstPauseMs * 2 ** Math.max(0, tries - firstTries));
}
