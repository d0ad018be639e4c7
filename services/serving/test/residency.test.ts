import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createResidency, type Tenant } from '../src/engine/residency.ts';
import { createSlots } from '../src/engine/slots.ts';

/** A tick of the loop, so that steps of different models mix. */
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

const tenantOf = (more: Partial<Tenant> = {}): Tenant => ({
  busy: false,
  leave: tick,
  left: () => undefined,
  ...more,
});

describe('residency', () => {
  it('never holds more than its limits, whoever comes and goes in whatever order', async () => {
    const step = fc.record({
      model: fc.integer({ min: 0, max: 9 }),
      bytes: fc.integer({ min: 1, max: 60 }),
      fails: fc.boolean(),
      busy: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 60, max: 200 }),
        async (steps, maxModels, maxBytes) => {
          const residency = createResidency({ maxModels, maxBytes });
          // What is in memory in truth: from before the load until after the unload.
          const inside = new Map<string, number>();
          const out = new Set<string>();
          const check = () => {
            expect(inside.size).toBeLessThanOrEqual(maxModels);
            expect([...inside.values()].reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(maxBytes);
          };
          await Promise.all(
            steps.map(async ({ model, bytes, fails, busy }, i) => {
              const key = `${model}-${i}`;
              await residency.enter(key, bytes);
              inside.set(key, bytes);
              check();
              await tick();
              if (fails) {
                inside.delete(key);
                return residency.leave(key);
              }
              const leave = async () => {
                expect(out.has(key)).toBe(false);
                await tick();
                inside.delete(key);
                out.add(key);
              };
              await residency.settle(key, bytes, tenantOf({ busy, leave }));
              check();
            }),
          );
          expect(residency.models).toBe(inside.size);
          expect(residency.bytes).toBe([...inside.values()].reduce((sum, size) => sum + size, 0));
        },
      ),
    );
  });

  it('lets go whoever was used longest ago and has nothing to do', async () => {
    const residency = createResidency({ maxModels: 3, maxBytes: 100 });
    const left: string[] = [];
    const enter = async (key: string, busy = false) => {
      await residency.enter(key, 1);
      await residency.settle(key, 1, tenantOf({ busy, leave: async () => void left.push(key) }));
    };
    await enter('a', true);
    await enter('b');
    await enter('c');
    residency.touch('b');
    await enter('d');
    expect(left).toEqual(['c']);
    await enter('e');
    expect(left).toEqual(['c', 'b']);
    expect(residency.evictions).toBe(2);
  });

  it('refuses what can never fit, and gives room back when a load fails', async () => {
    const residency = createResidency({ maxModels: 1, maxBytes: 100 });
    await expect(residency.enter('huge', 101)).rejects.toMatchObject({ code: 'MEMORY_BUDGET' });
    await residency.enter('a', 100);
    const second = residency.enter('b', 100);
    residency.leave('a');
    await second;
    expect(residency.models).toBe(1);
  });
});

describe('slots', () => {
  it('runs no more at once than there are, in order, also past failures', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(fc.boolean()), async (count, fails) => {
        const slots = createSlots(count);
        const begun: number[] = [];
        let running = 0;
        await Promise.allSettled(
          fails.map((fail, i) =>
            slots(async () => {
              begun.push(i);
              running += 1;
              expect(running).toBeLessThanOrEqual(count);
              await tick();
              running -= 1;
              if (fail) throw new Error('failed');
            }),
          ),
        );
        expect(begun).toEqual(fails.map((_, i) => i));
        expect(running).toBe(0);
      }),
    );
  });
});
