import { infer, type Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { type InferenceLoad, startInferenceLoad } from './inference-load.ts';
import { linear, loaded, register } from './models.ts';

export interface Swaps {
  readonly load: InferenceLoad;
  /** The version that answers when all is done. */
  readonly last: string;
}

const factors = [2, 3, 5];

/**
 * While requests keep coming, the alias moves from one version to the next. After each swap has settled only the new
 * version answers, or this waits for that in vain.
 */
export async function swapUnderLoad(
  millrace: Millrace,
  { order, swap = (alias, version) => millrace.registry.setAlias({ name: alias, version }) }: SwapOptions,
): Promise<Swaps> {
  const { registry, deployments, parent } = millrace;
  const model = `${parent}/models/swapped`;
  await registry.createModel({ parent, modelId: 'swapped', model: {} });
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

  const load = startInferenceLoad(millrace, 'swapped', factors);
  try {
    for (const version of order) {
      const before = load.byVersion.get(String(version)) ?? 0;
      await swap(alias, version);
      await loaded(millrace, name, version);
      const enough = () =>
        load.newest === String(version) && (load.byVersion.get(load.newest) ?? 0) > before + 20;
      await until(enough, { what: `answers of version ${version}` });
    }
  } finally {
    await load.stop();
  }
  const row = [{ name: 'x', type: 'FP32', values: [1], columns: 1 }] as const;
  return { load, last: (await infer(millrace, 'swapped', row)).modelVersion };
}

export interface SwapOptions {
  /** The versions, 1 to 3, one after the other; it begins with 1. */
  readonly order: readonly number[];
  /** How it is done. @default the alias is moved */
  readonly swap?: (alias: string, version: number) => Promise<unknown>;
}
