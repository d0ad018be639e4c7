import type { Chance } from '@millrace/testing';

/** What may go wrong in a world. Rates are of 0 to 1, for each call or message. */
export interface Weather {
  readonly crash: number;
  /** Store calls that are refused, or done without an answer. */
  readonly store: number;
  /** Requests, answers and deliveries that get lost without the connection breaking. */
  readonly lost: number;
  /** The longest a call usually takes. */
  readonly latencyMs: number;
  readonly duplicate: number;
  readonly drop: number;
  readonly window: number;
  readonly delayMs: number;
  /** What happens now and then to the whole. */
  readonly blows: readonly Blow[];
  readonly betweenBlowsMs: number;
}

export const blows = [
  'kill',
  'freeze',
  'long freeze',
  'cut',
  'server restart',
  'server freeze',
  'power cut',
  'stream deleted',
  'messages removed',
  'lease stolen',
] as const;
export type Blow = (typeof blows)[number];

/** Each world has some of the faults, so that none hides another. */
export function createWeather(chance: Chance): Weather {
  const some = (rate: number) => (chance.random() < 0.5 ? 0 : rate * chance.random());
  const rare = (blow: Blow) => (blow === 'long freeze' ? 0.05 : 0.4);
  return {
    crash: some(0.01),
    store: some(0.05),
    lost: some(0.08),
    latencyMs: chance.pick([2, 20, 300]),
    duplicate: some(0.5),
    drop: some(0.1),
    window: chance.pick([0, 0, 5, 50]),
    delayMs: chance.pick([0, 0, 500, 5_000]),
    blows: blows.filter((blow) => chance.random() < rare(blow)),
    betweenBlowsMs: chance.between(500, 6_000),
  };
}
