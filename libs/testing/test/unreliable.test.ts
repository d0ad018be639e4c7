import type { Deliveries, Delivery, Streams } from '@millrace/events';
import { expect, test } from 'vitest';
import { createChance, type Unreliability, unreliable } from '../src/index.ts';

/** What comes out of `count` deliveries, by their places, and which were acknowledged. */
async function disturbed(count: number, faults: Partial<Unreliability>) {
  const acknowledged: number[] = [];
  const deliveries: Deliveries = {
    close: async () => {},
    async *[Symbol.asyncIterator]() {
      for (let seq = 0; seq < count; seq++) {
        const ack = async () => void acknowledged.push(seq);
        yield { seq, ack, nak() {}, term() {}, working() {} } as unknown as Delivery;
      }
    },
  };
  const streams = { consume: async () => deliveries } as unknown as Streams;
  const { random } = createChance(7);
  const clock = { sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)) };
  const got: number[] = [];
  for await (const delivery of await unreliable(streams, { random, clock, ...faults }).consume('s', 'd', 1)) {
    got.push(delivery.seq);
    await delivery.ack(1_000);
  }
  return { got, acknowledged };
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

test('without faults nothing changes', async () => {
  expect((await disturbed(100, {})).got).toEqual(upTo(100));
});

test('none is overtaken by more than the window, and none is lost', async () => {
  const { got } = await disturbed(300, { window: 10, delayMs: 20 });
  expect(got).not.toEqual(upTo(300));
  expect(got.toSorted((a, b) => a - b)).toEqual(upTo(300));
  for (const [place, seq] of got.entries())
    expect(got.slice(0, place).filter((other) => other > seq).length).toBeLessThanOrEqual(10);
});

test('a delivery that comes twice is answered once', async () => {
  const { got, acknowledged } = await disturbed(50, { duplicate: 1 });
  expect(got).toHaveLength(100);
  expect(acknowledged).toEqual(upTo(50));
});

test('some are dropped', async () => {
  const { got } = await disturbed(200, { drop: 0.3 });
  expect(got.length).toBeGreaterThan(100);
  expect(got.length).toBeLessThan(180);
});
