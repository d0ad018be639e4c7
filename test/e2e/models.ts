import { createHash } from 'node:crypto';
import { ModelVersionState } from '@millrace/contracts/registry';
import { createModel, linearRegressor, writeModel } from '@millrace/onnx';
import type { Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';

/** `y[n, 1] = x[n, k] · weights + bias` as an ONNX file. */
export function linear(weights: readonly number[], bias = 0): Uint8Array {
  return writeModel(
    createModel({
      inputs: [{ name: 'x', type: 'float32', shape: ['n', weights.length] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['n', 1] }],
      ...linearRegressor({ input: 'x', output: 'y', weights, bias }),
    }),
  );
}

const chunkBytes = 1024 * 1024;

/** Registers a version and waits until it is ready; answers its name. */
export async function register({ registry }: Millrace, model: string, onnx: Uint8Array): Promise<string> {
  const digest = `sha256:${createHash('sha256').update(onnx).digest('hex')}`;
  async function* parts() {
    yield { payload: { case: 'header', value: { parent: model, digest, modelVersion: {} } } } as const;
    for (let at = 0; at < onnx.length; at += chunkBytes)
      yield { payload: { case: 'chunk', value: onnx.subarray(at, at + chunkBytes) } } as const;
  }
  const { modelVersion } = await registry.uploadModelVersion(parts());
  const name = modelVersion?.name ?? '';
  await until(
    async () => {
      const found = await registry.getModelVersion({ name });
      return found.modelVersion?.state === ModelVersionState.READY;
    },
    { what: `${name} is ready` },
  );
  return name;
}

/** Waits until the first target of a deployment has loaded a version. */
export async function loaded({ deployments }: Millrace, name: string, version: number): Promise<void> {
  await until(
    async () =>
      (await deployments.getDeployment({ name })).deployment?.targetStatuses[0]?.loadedVersion === version,
    { what: `${name} answers with version ${version}` },
  );
}
