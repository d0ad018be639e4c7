import { createHash } from 'node:crypto';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ModelProto, ModelProtoSchema, TensorProto_DataLocation } from '@millrace/contracts/onnx';
import type { ModelVersion } from '@millrace/contracts/registry';
import { ModelVersionState } from '@millrace/contracts/registry';
import { tensor } from '@millrace/onnx';
import type { Millrace } from '@millrace/sdk';
import { until } from '@millrace/testing';
import { linear } from '../models.ts';

/** A sound model after a change of its messages. */
export function altered(change: (model: ModelProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, linear([1, 2]));
  change(model);
  return toBinary(ModelProtoSchema, model);
}

/** A model whose weights are said to lie elsewhere. */
export function withExternalData(location: string): Uint8Array {
  return altered((model) => {
    const node = model.graph?.node[0];
    const weights = tensor('w', 'float32', [1], [1]);
    weights.dataLocation = TensorProto_DataLocation.EXTERNAL;
    weights.externalData = [{ $typeName: 'onnx.StringStringEntryProto', key: 'location', value: location }];
    model.graph?.initializer.push(weights);
    node?.input.push('w');
  });
}

/** Uploads bytes as a version and waits until the registry has looked at them. */
export async function examined(
  { registry }: Millrace,
  model: string,
  bytes: Uint8Array,
): Promise<ModelVersion> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  async function* parts() {
    yield { payload: { case: 'header', value: { parent: model, digest, modelVersion: {} } } } as const;
    yield { payload: { case: 'chunk', value: bytes } } as const;
  }
  const { modelVersion } = await registry.uploadModelVersion(parts());
  const name = modelVersion?.name ?? '';
  return until(
    async () => {
      const found = (await registry.getModelVersion({ name })).modelVersion;
      return found && found.state !== ModelVersionState.PENDING_VALIDATION ? found : undefined;
    },
    { what: `${name} is looked at` },
  );
}
