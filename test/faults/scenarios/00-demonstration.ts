import { killsInTheDemonstration, spoiledStates } from '../demo/scenario.ts';
import type { Scenario } from '../scenario.ts';

let calm: Awaited<ReturnType<typeof killsInTheDemonstration>>['calm'] = {};

export const scenario: Scenario = {
  number: 0,
  name: 'kill -9 of each service and of NATS, 18 times in the demonstration',
  invariant: 'the end state is that of an undisturbed play: values equal, streams whole',
  limitMs: 540_000,
  run: async (chance) => {
    const played = await killsInTheDemonstration(chance);
    calm = played.calm;
    return played.outcome;
  },
  control: async () => spoiledStates(calm),
};
