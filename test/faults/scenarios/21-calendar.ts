import { CatchUp } from '@millrace/contracts/pipelines';
import type { Scenario } from '../scenario.ts';
import { type Caught, missTimes, type Outage } from '../schedules.ts';
import { tally } from '../tally.ts';

const night = { cron: '30 2 * * *', timeZone: 'Europe/Zurich', catchUp: CatchUp.ALL };
const leapDay = { cron: '0 0 29 2 *', catchUp: CatchUp.ALL };

/** 02:30 does not exist on 29 March 2026 and comes twice on 25 October; 29 February comes every four years. */
const outages: readonly Outage[] = [
  {
    from: '2026-03-28T12:00:00Z',
    to: '2026-03-30T12:00:00Z',
    schedules: [
      { ...night, id: 'forwards', expected: ['2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z'] },
    ],
  },
  {
    from: '2026-10-24T12:00:00Z',
    to: '2026-10-26T12:00:00Z',
    schedules: [{ ...night, id: 'back', expected: ['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z'] }],
  },
  {
    from: '2027-06-01T12:00:00Z',
    to: '2028-06-01T12:00:00Z',
    schedules: [{ ...leapDay, id: 'leap', expected: ['2028-02-29T00:00:00.000Z'] }],
  },
];

let caught: Caught = { expected: [], started: [] };

export const scenario: Scenario = {
  number: 21,
  name: 'the scheduler sleeps through changes of the clocks and a leap day',
  invariant: 'a time that is skipped, and one that comes twice, starts one run',
  async run(chance) {
    caught = await missTimes(outages, 1, chance);
    return tally(caught.expected, caught.started);
  },
  // A time that comes twice, taken for two.
  control: async () => tally(caught.expected, [...caught.started, ...caught.started.slice(0, 1)]),
};
