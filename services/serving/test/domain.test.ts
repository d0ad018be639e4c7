import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBatchQueue, type Waiting } from '../src/domain/batch-queue.ts';
import { tensorOfColumns, toHalf } from '../src/domain/columns.ts';
import { createDeployment, type DeploymentSpec } from '../src/domain/deployment.ts';
import { type LogRecord, logHeads, shortest, splitRecords } from '../src/domain/log-rows.ts';
import { followAlias, recordFailed, recordLoaded } from '../src/domain/rollout.ts';
import { countsRows } from '../src/domain/signature.ts';
import { choose, fraction } from '../src/domain/split.ts';
import { numbersOf } from '../src/domain/tensor.ts';

const model = 'projects/p/models/m';
const spec: DeploymentSpec = {
  description: '',
  targets: [{ model, alias: 'champion', version: 0, weight: 1, shadow: false }],
  lookup: null,
  batching: { maxRows: 0, maxDelayMs: 0, maxQueueRows: 0 },
  instances: 0,
  logging: { mode: 'whole', sampleRate: 0, tensorColumns: [] },
  tags: [],
};

describe('batch queue', () => {
  const limits = { maxRows: 8, maxDelayMs: 10, maxQueueRows: 1000 };
  const item = (rows: number, sinceMs: number, mergeKey = 'a'): Waiting => ({
    rows,
    sinceMs,
    mergeKey,
    deadlineMs: sinceMs + 1000,
  });

  it('gives a free worker what is there at once when there is no delay', () => {
    const queue = createBatchQueue({ ...limits, maxDelayMs: 0 });
    queue.add(item(1, 0));
    queue.add(item(2, 0));
    expect(queue.dueAtMs()).toBe(0);
    expect(queue.take(0)).toHaveLength(2);
    expect(queue.dueAtMs()).toBeUndefined();
  });

  it('waits for company only until the delay is over or the batch is full', () => {
    const queue = createBatchQueue(limits);
    queue.add(item(1, 0));
    expect(queue.take(9)).toEqual([]);
    expect(queue.dueAtMs()).toBe(10);
    queue.add(item(7, 5));
    expect(queue.take(5)).toHaveLength(2);
    queue.add(item(1, 20));
    expect(queue.take(30)).toHaveLength(1);
  });

  it('refuses what does not fit, but never a request alone', () => {
    const queue = createBatchQueue({ ...limits, maxQueueRows: 4 });
    queue.add(item(100, 0));
    expect(() => queue.add(item(1, 0))).toThrowError(expect.objectContaining({ code: 'OVERLOADED' }));
  });

  it('holds more requests than a call has room for arguments, apart and put back', () => {
    const queue = createBatchQueue({ maxRows: 1e6, maxDelayMs: 10, maxQueueRows: 1e6 });
    const apart = Array.from({ length: 200_000 }, (_, i) => item(1, 5 + i, String(i)));
    for (const one of apart) queue.add(one);
    expect([queue.dueAtMs(), queue.oldestMs()]).toEqual([15, 5]);
    queue.putBack(queue.clear());
    expect([queue.length, queue.dueAtMs(), queue.oldestMs()]).toEqual([200_000, 0, 5]);
  });

  it('hands every request out once, never merges keys, and keeps the order of each', () => {
    const request = fc.record({ rows: fc.integer({ min: 0, max: 12 }), key: fc.constantFrom('a', 'b', 'c') });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), fc.nat(20), (requests, delay) => {
        const queue = createBatchQueue({ maxRows: 8, maxDelayMs: delay, maxQueueRows: 1e6 });
        const added = requests.map(({ rows, key }, i) => item(rows, i, key));
        for (const one of added) queue.add(one);
        const taken: Waiting[] = [];
        for (let now = 0; queue.length > 0; now += 5) {
          for (let batch = queue.take(now); batch.length > 0; batch = queue.take(now)) {
            expect(new Set(batch.map((one) => one.mergeKey)).size).toBe(1);
            const rows = batch.reduce((sum, one) => sum + one.rows, 0);
            expect(rows <= 8 || batch.length === 1).toBe(true);
            taken.push(...batch);
          }
        }
        expect(queue.rows).toBe(0);
        for (const key of ['a', 'b', 'c'])
          expect(taken.filter((one) => one.mergeKey === key)).toEqual(
            added.filter((one) => one.mergeKey === key),
          );
      }),
    );
  });
});

describe('split', () => {
  it('spreads like the weights and never changes its mind', () => {
    const targets = [
      { id: 'a', weight: 1 },
      { id: 'b', weight: 9 },
      { id: 'c', weight: 0 },
    ];
    const chosen = Array.from({ length: 20_000 }, (_, i) => choose(targets, `request-${i}`, 'd')?.id);
    const share = chosen.filter((id) => id === 'a').length / chosen.length;
    expect(share).toBeGreaterThan(0.09);
    expect(share).toBeLessThan(0.11);
    expect(chosen).not.toContain('c');
    expect(choose([{ weight: 0 }], 'x', 'd')).toBeUndefined();
  });

  it('gives fractions in [0, 1) that differ by salt', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const value = fraction(text, 'a');
        return value >= 0 && value < 1 && value === fraction(text, 'a');
      }),
    );
    expect(fraction('x', 'a')).not.toBe(fraction('x', 'b'));
  });
});

describe('deployment', () => {
  const doc = createDeployment('p', 'd', spec, 0);
  const moved = followAlias(doc, { model, alias: 'champion', version: 3, revision: 7 }, 1);
  const loaded = { version: 3, digest: 'sha256:x', loadMs: 1, memoryBytes: 1 };

  it('follows an alias and ignores old news', () => {
    expect(moved?.doc.statuses[0]).toMatchObject({ wantedVersion: 3, revision: 7, state: 'loading' });
    for (const revision of [6, 7])
      expect(followAlias(moved!.doc, { model, alias: 'champion', version: 2, revision }, 2)).toBeUndefined();
    expect(followAlias(moved!.doc, { model, alias: 'other', version: 2, revision: 9 }, 2)).toBeUndefined();
  });

  it('tells once that a version is loaded, with the one before', () => {
    const key = `${model}@champion`;
    const ready = recordLoaded(moved!.doc, key, loaded, 2);
    expect(ready?.happened).toMatchObject([{ kind: 'loaded', version: 3, previousVersion: 0 }]);
    expect(recordLoaded(ready!.doc, key, loaded, 3)).toBeUndefined();
    const next = followAlias(ready!.doc, { model, alias: 'champion', version: 4, revision: 8 }, 4);
    expect(next?.doc.statuses[0]).toMatchObject({ wantedVersion: 4, loadedVersion: 3, state: 'loading' });
    const failed = recordFailed(next!.doc, key, { version: 4, keptVersion: 3, reason: 'broken' }, 5);
    expect(failed?.happened).toMatchObject([{ kind: 'failed', version: 4, keptVersion: 3 }]);
    expect(failed?.doc.statuses[0]).toMatchObject({ loadedVersion: 3, state: 'failed', reason: 'broken' });
    const gone = followAlias(failed!.doc, { model, alias: 'champion', version: 0, revision: 9 }, 6);
    expect(gone?.doc.statuses[0]?.reason).toBe('the alias champion was removed; version 3 goes on answering');
  });
});

describe('signature', () => {
  const port = (shape: (number | string)[]) => ({ name: 'x', type: 'FP32' as const, shape });
  it.each([
    [[port(['n', 3])], [port(['n', 1])], true],
    [[port([-1, 3])], [port(['m'])], true],
    [[port([1, 3])], [port(['n'])], false],
    [[port(['n'])], [port([1])], false],
    [[port(['n']), port(['m'])], [port(['n'])], false],
    [[port([])], [port([])], false],
    [[], [port(['n'])], false],
  ])('tells whether the first dimension counts rows %#', (inputs, outputs, counts) => {
    expect(countsRows({ inputs, outputs })).toBe(counts);
  });
});

describe('columns', () => {
  it('writes FP16 as IEEE 754 says', () => {
    const cases: readonly (readonly [number, number])[] = [
      [0, 0],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [65504, 0x7bff],
      [65520, 0x7c00],
      [2 ** -24, 1],
      [2 ** -14, 0x400],
      [Number.NEGATIVE_INFINITY, 0xfc00],
      [1 + 2 ** -11, 0x3c00],
      [1 + 3 * 2 ** -11, 0x3c02],
    ];
    for (const [value, bits] of cases) expect([value, toHalf(value)]).toEqual([value, bits]);
    expect(
      Number.isNaN(numbersOf({ name: '', type: 'FP16', shape: [1], data: Uint8Array.of(0, 0x7e) })[0]),
    ).toBe(true);
  });

  it('writes what it reads, for every type', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('INT8', 'UINT8', 'INT64', 'UINT64', 'FP32', 'FP64'),
        fc.integer({ min: 0, max: 127 }),
        (type, value) => {
          const data = tensorOfColumns(type, [{ values: [value, null], fallback: 1 }], 2) as Uint8Array;
          expect([...numbersOf({ name: 'x', type, shape: [2, 1], data })]).toEqual([value, 1]);
        },
      ),
    );
    expect(() => tensorOfColumns('INT8', [{ values: [128], fallback: null }], 1)).toThrow();
    expect(() => tensorOfColumns('INT64', [{ values: [0.5], fallback: null }], 1)).toThrow();
  });

  it('finds the decimal number that an FP32 stood for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -999_999, max: 999_999 }),
        fc.integer({ min: 0, max: 5 }),
        (digits, places) => {
          const decimal = digits / 10 ** places;
          expect(shortest(Math.fround(decimal))).toBe(decimal);
        },
      ),
    );
    fc.assert(fc.property(fc.float({ noNaN: true }), (value) => Math.fround(shortest(value)) === value));
  });
});

describe('log records', () => {
  it('are shared out without loss, in order, within the size', () => {
    const record = fc.integer({ min: 0, max: 50 }).map(
      (rows): LogRecord => ({
        requestId: 'r',
        rows,
        eventTimesUs: Array(rows).fill(0),
        entities: [],
        inputs: [{ heads: logHeads('double', ['x']), values: new Float64Array(rows).fill(1) }],
        outputs: [],
      }),
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 10 }), fc.integer({ min: 1, max: 2000 }), (records, max) => {
        const events = splitRecords(records, max);
        for (const event of events) {
          const rows = event.reduce((sum, part) => sum + part.to - part.from, 0);
          expect(rows === 1 || rows * 34 <= max).toBe(true);
        }
        const flat = events.flat();
        for (const one of records) {
          const parts = flat.filter((part) => part.record === one);
          expect(
            parts.flatMap((part) => Array.from({ length: part.to - part.from }, (_, i) => part.from + i)),
          ).toEqual(Array.from({ length: one.rows }, (_, i) => i));
        }
      }),
    );
  });
});
