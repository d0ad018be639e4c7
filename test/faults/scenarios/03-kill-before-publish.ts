import { killRelay } from '../relay-kills.ts';
import type { Scenario } from '../scenario.ts';
import { forgetBacklog } from '../streams.ts';
import { repeated } from '../tally.ts';

export const scenario: Scenario = {
  number: 3,
  name: 'kill -9 of tracking between commit and publish',
  invariant: 'each acknowledged batch has its event in the stream, once and in order',
  run: (chance) => killRelay(chance, { point: 'relay.before-publish' }),
  // A relay that remembers an event as published before it is.
  control: (chance) =>
    repeated(3, () =>
      killRelay(chance, {
        point: 'relay.before-publish',
        between: (tracking) => forgetBacklog(tracking, 'tracking'),
      }),
    ),
};
