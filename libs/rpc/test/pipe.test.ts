import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createPipe } from '../src/pipe.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it('gives every value once and in order, however fast each side is', async () => {
  const delays = fc.array(fc.integer({ min: -3, max: 1 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      delays,
      delays,
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      async (a, b, limit, fails) => {
        const pipe = createPipe<number>({ limit });
        let waiting = 0;
        let most = 0;
        const write = async () => {
          for (const [i, delay] of a.entries()) {
            if (delay >= 0) await pause(delay);
            waiting++;
            most = Math.max(most, waiting);
            if (!pipe.push(i)) await pipe.room();
          }
          if (fails) pipe.fail(new Error('over'));
          else pipe.end();
        };
        const got: number[] = [];
        const read = async () => {
          for await (const value of pipe) {
            waiting--;
            got.push(value);
            const delay = b[got.length % (b.length || 1)] ?? -1;
            if (delay >= 0) await pause(delay);
          }
          return 'ended';
        };
        const [, outcome] = await Promise.all([write(), read().catch((error: Error) => error.message)]);
        expect(got).toEqual(a.map((_, i) => i));
        expect(outcome).toBe(fails ? 'over' : 'ended');
        expect(most).toBeLessThanOrEqual(limit + 1);
      },
    ),
    { numRuns: 60 },
  );
});

it('lets the writer go when the reader leaves, and says so once', async () => {
  let stopped = 0;
  const pipe = createPipe<number>({ limit: 1, onStop: () => stopped++ });
  expect(pipe.push(1)).toBe(false);
  const room = pipe.room();
  for await (const _ of pipe) break;
  await room;
  expect(stopped).toBe(1);
});

it('drops what waits when it fails at once', async () => {
  const pipe = createPipe<number>({ limit: 9 });
  pipe.push(1);
  pipe.fail(new Error('now'), true);
  await expect(pipe[Symbol.asyncIterator]().next()).rejects.toThrow('now');
});
