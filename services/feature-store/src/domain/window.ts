import { dayUs, floorTo, hourUs, minuteUs } from './time.ts';

/**
 * The hops of windows, finest first; each is a multiple of the one before. A tile of a hop holds the rows of
 * (end - hop, end], where `end` is a multiple of the hop. Source: the resolutions of Chronon's sawtooth windows.
 */
export const hops = [5 * minuteUs, hourUs, dayUs] as const;

const longestWindowUs = 366 * dayUs;

/** Which of {@link hops} a window moves by: 0 below 12 hours, 1 below 12 days, 2 from there on. */
export function levelOf(windowUs: number): 0 | 1 | 2 {
  if (windowUs < 12 * hourUs) return 0;
  return windowUs < 12 * dayUs ? 1 : 2;
}

/** Why a length is no window, or undefined when it is one. */
export function refuseWindow(windowUs: number): string | undefined {
  if (windowUs < hops[0]) return 'shorter than 5 minutes';
  if (windowUs > longestWindowUs) return 'longer than 366 days';
  const hop = hops[levelOf(windowUs)];
  return windowUs % hop === 0 ? undefined : `not a multiple of its hop, ${hop / minuteUs} minutes`;
}

/**
 * Where a window that is looked at from `at` begins: the rows of (start, at] are in it. The head is exact, the tail is
 * rounded down to the hop. This is the one definition for offline and online values.
 */
export function windowStart(at: number, windowUs: number): number {
  return floorTo(at - windowUs, hops[levelOf(windowUs)]);
}
