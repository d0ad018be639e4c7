import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultLimits, examine, readModel, writeModel } from '../src/index.ts';
import { file, logisticFile } from './models.ts';

const seeds = [file(), logisticFile()];
/** What a small file may take at most, on a busy machine; the honest figure is below a millisecond. */
const boundMs = 2000;

/** A seed with bytes overwritten, a stretch cut out and bytes put in. */
const mutated = fc
  .record({
    seed: fc.constantFrom(...seeds),
    writes: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 12 }),
    cut: fc.tuple(fc.nat(), fc.nat({ max: 16 })),
    insert: fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 24 })),
  })
  .map(({ seed, writes, cut, insert }) => {
    const bytes = Array.from(seed);
    for (const [at, byte] of writes) bytes[at % bytes.length] = byte;
    bytes.splice(cut[0] % bytes.length, cut[1]);
    bytes.splice(insert[0] % (bytes.length + 1), 0, ...insert[1]);
    return Uint8Array.from(bytes);
  });

function expectBounded(bytes: Uint8Array): void {
  const started = performance.now();
  const { refusals, inspection } = examine(bytes, { ...defaultLimits, maxListNumbers: 100_000 });
  expect(performance.now() - started).toBeLessThan(boundMs);
  for (const refusal of refusals) expect(refusal.message.length).toBeLessThan(1000);
  expect(refusals.length <= 20 && (refusals.length > 0 || inspection !== undefined)).toBe(true);
}

describe('bytes of any kind get an answer', () => {
  it('mutated models', () => {
    fc.assert(fc.property(mutated, expectBounded), { numRuns: 5000 });
  });

  it('random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), expectBounded), { numRuns: 2000 });
  });

  it('what is accepted can be written and read again', () => {
    fc.assert(
      fc.property(mutated, (bytes) => {
        if (examine(bytes).refusals.length > 0) return;
        expect(examine(writeModel(readModel(bytes))).refusals).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});
