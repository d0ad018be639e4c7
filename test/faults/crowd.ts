/**
 * A process full of clients, each with a channel of its own, which log one point after the other. Argument: JSON of
 * {@link ClientsOrder}. Told `again`, it says `answered` once each client has had another answer; told `end`, it says
 * {@link CrowdTold} and ends.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCoded } from '@millrace/errors';
import { connect } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { type ClientsOrder, type ClientsTold, stepsEach } from './clients.ts';

export interface CrowdTold extends ClientsTold {
  /** The longest time in which nobody had a turn, between the last two times it was told `again`. */
  readonly stillMs: number;
}

/** How long a client rests after each point, in milliseconds. */
const restMs = 500;

if (import.meta.main) {
  const { tell, end } = startCrowd(JSON.parse(process.argv[2] ?? '') as ClientsOrder);
  process.on('disconnect', () => process.exit(1));
  process.on('message', async (word) => {
    if (word === 'again') process.send?.(await tell());
    if (word === 'end') process.send?.(await end(), () => process.exit(0));
  });
}

function startCrowd({ address, run, name, clients }: ClientsOrder) {
  const acknowledged: string[] = [];
  const maybe: string[] = [];
  const turns = monitorEventLoopDelay({ resolution: 10 });
  turns.enable();
  let stillMs = 0;
  const answers = new Array<number>(clients).fill(0);
  let ending = false;

  async function client(number: number): Promise<void> {
    const millrace = connect({ endpoints: { services: { tracking: address } }, project: 'default' });
    // They do not come all at once.
    await sleep(Math.random() * restMs);
    for (let step = number * stepsEach; !ending; step++) {
      const request = { name: run, metrics: [{ key: name, value: step, step: BigInt(step) }] };
      const id = `${name}/${step}`;
      try {
        await millrace.tracking.logBatch(
          { ...request, requestId: `${name}-${step}` },
          { deadlineMs: 20_000 },
        );
        acknowledged.push(id);
        answers[number]!++;
      } catch (error) {
        if (!isCoded(error, 'unavailable') && !isCoded(error, 'deadline_exceeded')) throw error;
        maybe.push(id);
      }
      await sleep(restMs);
    }
    millrace.close();
  }

  const working = Array.from({ length: clients }, (_, number) => client(number));
  return {
    tell: async () => {
      stillMs = turns.max / 1e6;
      const before = [...answers];
      const all = () => answers.every((count, number) => count > before[number]!);
      await until(all, { what: `an answer for each client of ${name}`, timeoutMs: 60_000 });
      turns.reset();
      return 'answered';
    },
    end: async (): Promise<CrowdTold> => {
      ending = true;
      await Promise.all(working);
      return { acknowledged, maybe, stillMs };
    },
  };
}
