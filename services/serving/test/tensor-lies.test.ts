import { afterAll, beforeAll, expect, it } from 'vitest';
import { floatsOf, type Harness, type InferInit, raw32, rowsOf, startHarness } from './harness.ts';
import { linearModel } from './models.ts';

let h: Harness;
beforeAll(async () => {
  h = await startHarness();
  h.addVersion(1, linearModel([1, 10], 0.5));
  const selector = { case: 'version' as const, value: 1 };
  await h.deploy('linear', { targets: [{ model: 'projects/default/models/delay', weight: 1, selector }] });
  await h.ready('linear', 1);
});
afterAll(() => h.stop());

const infer = (request: InferInit) => h.clients.inference.modelInfer(request);
const x = (datatype: string, shape: bigint[]) => ({ name: 'x', datatype, shape });

it('row 14: sizes that are only said take no memory, and a million inputs are not looked up one by one', async () => {
  const lies = [
    [2n ** 31n, 2n ** 31n],
    [2n ** 30n, 2n],
    [2n ** 28n, 2n],
    [-1n, -2n],
    [2n ** 63n - 1n, 2n],
  ];
  const before = process.memoryUsage();
  for (const shape of lies)
    for (const contents of [{}, { contents: { fp32Contents: [1, 2] } }]) {
      const rawInputContents = 'contents' in contents ? [] : [raw32(1, 2)];
      const lie = { modelName: 'linear', inputs: [{ ...x('FP32', shape), ...contents }], rawInputContents };
      await expect(infer(lie), String(shape)).rejects.toMatchObject({ kind: 'invalid_argument' });
    }
  const after = process.memoryUsage();
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 * 2 ** 20);
  expect(after.rss - before.rss).toBeLessThan(256 * 2 ** 20);
  const inputs = Array.from({ length: 1_000_000 }, () => ({ name: 'x' }));
  const begun = performance.now();
  await expect(infer({ modelName: 'linear', inputs })).rejects.toMatchObject({
    kind: expect.stringMatching(/^(invalid_argument|resource_exhausted)$/),
  });
  expect(performance.now() - begun).toBeLessThan(20_000);
});

it('row 14: what is no number is a value of floats, and comes back as what the model makes of it', async () => {
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const answer = await infer(
    rowsOf(
      'linear',
      odd.map((value) => [value, 0]),
    ),
  );
  expect(floatsOf(answer)).toEqual(odd);
});
