import { CatchUp } from '@millrace/contracts/pipelines';
import type { Scenario } from '../scenario.ts';
import { type Caught, missTimes, type Outage } from '../schedules.ts';
import { tally } from '../tally.ts';

const minutes = Array.from(
  { length: 10 },
  (_, i) => `2026-01-05T12:${String(i + 1).padStart(2, '0')}:00.000Z`,
);
const cron = '* * * * *';

const outage: Outage = {
  from: '2026-01-05T12:00:05Z',
  to: '2026-01-05T12:10:15Z',
  schedules: [
    { id: 'none', cron, catchUp: CatchUp.NONE, expected: [] },
    { id: 'last', cron, catchUp: CatchUp.LAST, expected: minutes.slice(-1) },
    { id: 'all', cron, catchUp: CatchUp.ALL, expected: minutes },
  ],
};

let caught: Caught = { expected: [], started: [] };

export const scenario: Scenario = {
  number: 20,
  name: 'the scheduler is down for 10 times and is killed again and again while it catches up',
  invariant: 'catch-up NONE, LAST and ALL start 0, 1 and 10 runs, none of them twice',
  async run(chance) {
    caught = await missTimes([outage], 3, chance);
    return tally(caught.expected, caught.started);
  },
  // A run that got another id at a restart would be a second one.
  control: async () => tally(caught.expected, [...caught.started, ...caught.started.slice(0, 1)]),
};
