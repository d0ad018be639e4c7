import { killRelay, outlastWindow } from '../relay-kills.ts';
import type { Scenario } from '../scenario.ts';
import { repeated } from '../tally.ts';

export const scenario: Scenario = {
  number: 4,
  name: 'kill -9 of tracking between publish and remembering it',
  invariant: 'each acknowledged batch has its event in the stream, once and in order',
  run: (chance) => killRelay(chance, { point: 'relay.after-publish' }),
  // A stream that does not know the ids of what it holds.
  control: (chance) =>
    repeated(3, () =>
      killRelay(chance, { point: 'relay.after-publish', between: (_, bus) => outlastWindow(bus) }),
    ),
};
