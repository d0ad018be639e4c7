import { infer, type Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { expect } from 'vitest';
import { linear, loaded, register } from './models.ts';

/**
 * While requests keep coming, the alias moves to each version and back to the first. No request fails, every answer is
 * what the version that signs it would say, row by row, and after a swap has settled only the new version answers.
 */
export async function swapsUnderLoad(millrace: Millrace): Promise<void> {
  const { registry, deployments, parent } = millrace;
  const model = `${parent}/models/swapped`;
  await registry.createModel({ parent, modelId: 'swapped', model: {} });
  const factors = [2, 3, 5];
  for (const factor of factors) await register(millrace, model, linear([factor], factor));
  const alias = `${model}/aliases/live`;
  await registry.setAlias({ name: alias, version: 1 });
  const name = `${parent}/deployments/swapped`;
  await deployments.createDeployment({
    parent,
    deploymentId: 'swapped',
    deployment: { targets: [{ model, selector: { case: 'alias', value: 'live' }, weight: 1 }] },
  });
  await loaded(millrace, name, 1);

  const failures: unknown[] = [];
  const wrong: string[] = [];
  const byVersion = new Map<string, number>();
  let [running, newest] = [true, ''];
  const client = async (c: number) => {
    for (let i = 0; running; i++) {
      const values = [c, i % 1000, 0.5];
      try {
        const answer = await infer(millrace, 'swapped', [{ name: 'x', type: 'FP32', values, columns: 1 }]);
        const factor = factors[Number(answer.modelVersion) - 1] ?? Number.NaN;
        const expected = values.map((value) => Math.fround(value * factor + factor));
        if (answer.floats('y').join() !== expected.join()) wrong.push(`${answer.modelVersion}: ${values}`);
        byVersion.set(answer.modelVersion, (byVersion.get(answer.modelVersion) ?? 0) + 1);
        newest = answer.modelVersion;
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const clients = Promise.all(Array.from({ length: 6 }, (_, c) => client(c)));
  try {
    for (const version of [2, 3, 1, 3, 2]) {
      const before = byVersion.get(String(version)) ?? 0;
      await registry.setAlias({ name: alias, version });
      await loaded(millrace, name, version);
      const enough = () => newest === String(version) && (byVersion.get(newest) ?? 0) > before + 20;
      await until(enough, { what: `answers of version ${version}` });
    }
  } finally {
    running = false;
    await clients;
  }
  expect(failures).toEqual([]);
  expect(wrong).toEqual([]);
  expect([...byVersion.keys()].sort()).toEqual(['1', '2', '3']);
  const last = await infer(millrace, 'swapped', [{ name: 'x', type: 'FP32', values: [1], columns: 1 }]);
  expect(last.modelVersion).toBe('2');
}
