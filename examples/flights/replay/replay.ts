import type { Millrace } from '@millrace/sdk';
import { tickMinutes } from '../data.ts';
import { dayMs } from '../resources.ts';
import type { Flight } from './flights.ts';
import { type Counts, predict, pushLandings, tellTruth } from './traffic.ts';

export interface ReplayOptions {
  readonly flights: readonly Flight[];
  readonly fromMs: number;
  readonly untilMs: number;
  readonly counts: Counts;
  /**
   * Called at six each morning of the replayed time, with the day that ended at midnight. The clock stands still until it
   * returns: a night is long enough to judge a day and to train a model, however fast the days go by.
   */
  onMorning(dayMs: number): Promise<void>;
}

const tickMs = tickMinutes * 60_000;
const hourMs = 3_600_000;
const morningMs = 6 * hourMs;

/**
 * Plays flights in the order of their events. At each tick the flights that have landed since the last one are pushed
 * first, then the coming departures are asked about; every hour the truth about landed flights follows. Nothing is
 * told before it happened.
 */
export async function replay(millrace: Millrace, options: ReplayOptions): Promise<void> {
  const { flights, fromMs, untilMs, counts } = options;
  const departures = Map.groupBy(flights, (flight) => flight.askedMs);
  const ids = new Map<Flight, string>();
  let truth: { id: string; late: boolean }[] = [];
  let landed = 0;
  for (let now = fromMs; now < untilMs; now += tickMs) {
    const first = landed;
    while (landed < flights.length && flights[landed]!.landedMs <= now) landed++;
    const arrivals = flights.slice(first, landed);
    await pushLandings(millrace, arrivals, now, counts);
    const leaving = departures.get(now) ?? [];
    if (leaving.length > 0) {
      const given = await predict(millrace, leaving, now, counts);
      for (const [i, flight] of leaving.entries()) ids.set(flight, given[i] ?? '');
    }
    for (const flight of arrivals) {
      const id = ids.get(flight);
      if (id !== undefined) truth.push({ id, late: flight.late });
      ids.delete(flight);
    }
    if (now % hourMs === 0) {
      await tellTruth(millrace, truth, now, counts);
      truth = [];
    }
    if (now % dayMs === morningMs && now - dayMs > fromMs) await options.onMorning(now - morningMs - dayMs);
  }
}
