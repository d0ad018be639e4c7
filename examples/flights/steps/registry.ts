import { createHash } from 'node:crypto';
import { isCoded } from '@millrace/errors';
import type { Millrace } from '@millrace/sdk';

const chunkBytes = 512 * 1024;
const deadlineMs = 120_000;

/** What a new version is known by, beside its bytes. */
export interface NewVersion {
  readonly model: string;
  readonly onnx: Uint8Array;
  readonly sourceRun: string;
  readonly trainingSet: string;
  readonly pipelineRun: string;
  readonly description: string;
  readonly requestId: string;
}

/** Uploads a version; answers its full name. */
export async function uploadVersion({ registry }: Millrace, version: NewVersion): Promise<string> {
  const { model, onnx, requestId, ...about } = version;
  const digest = `sha256:${createHash('sha256').update(onnx).digest('hex')}`;
  async function* parts() {
    yield {
      payload: { case: 'header', value: { parent: model, digest, requestId, modelVersion: about } },
    } as const;
    for (let at = 0; at < onnx.length; at += chunkBytes) {
      yield { payload: { case: 'chunk', value: onnx.subarray(at, at + chunkBytes) } } as const;
    }
  }
  const { modelVersion } = await registry.uploadModelVersion(parts(), { deadlineMs });
  return modelVersion?.name ?? '';
}

/** The bytes of a version. */
export async function downloadVersion({ registry }: Millrace, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const { payload } of registry.downloadModelVersion({ name }, { deadlineMs })) {
    if (payload.case === 'chunk') chunks.push(payload.value);
  }
  return Buffer.concat(chunks);
}

/** The version that holds the alias `champion`; undefined when none does. */
export async function championOf({ registry }: Millrace, model: string): Promise<string | undefined> {
  try {
    const { alias } = await registry.getAlias({ name: `${model}/aliases/champion` });
    return alias?.modelVersion || undefined;
  } catch (error) {
    if (isCoded(error, 'not_found')) return undefined;
    throw error;
  }
}
