import type { ModelInferResponse } from '@millrace/contracts/inference';
import { CodedError, invalidField } from '@millrace/errors';
import type { Millrace } from './client.ts';

/** A tensor to send: one row for each element, or `[rows, columns]` with `columns` given. */
export type TensorInput =
  | {
      readonly name: string;
      readonly type: 'FP32';
      readonly values: ArrayLike<number>;
      readonly columns?: number;
    }
  | {
      readonly name: string;
      readonly type: 'INT64';
      readonly values: readonly bigint[];
      readonly columns?: number;
    }
  | {
      readonly name: string;
      readonly type: 'BYTES';
      readonly values: readonly string[];
      readonly columns?: number;
    };

export interface InferOptions {
  /** Names the request; ground truth is matched by it. @default the server chooses */
  readonly id?: string;
  /** A version of the model. @default the deployment decides */
  readonly version?: string;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** An answer. */
export interface Inference {
  readonly id: string;
  /** The number of the model version that answered. */
  readonly modelVersion: string;
  /** The floating-point output of that name, row after row. INVALID_FIELD when there is none. */
  floats(output: string): Float32Array;
}

/** Asks a deployment by the Open Inference Protocol v2, with raw tensors. */
export async function infer(
  millrace: Millrace,
  deployment: string,
  inputs: readonly TensorInput[],
  options: InferOptions = {},
): Promise<Inference> {
  const { deadlineMs, signal } = options;
  const response = await millrace.inference.modelInfer(
    {
      modelName: deployment,
      modelVersion: options.version ?? '',
      id: options.id ?? '',
      inputs: inputs.map((input) => ({ name: input.name, datatype: input.type, shape: shapeOf(input) })),
      rawInputContents: inputs.map(rawOf),
    },
    { ...(deadlineMs ? { deadlineMs } : {}), ...(signal ? { signal } : {}) },
  );
  return {
    id: response.id,
    modelVersion: response.modelVersion,
    floats: (output) => floatsOf(response, output),
  };
}

function shapeOf({ values, columns }: TensorInput): bigint[] {
  return columns === undefined ? [BigInt(values.length)] : [BigInt(values.length / columns), BigInt(columns)];
}

function rawOf(input: TensorInput): Uint8Array {
  if (input.type === 'FP32') return new Uint8Array(Float32Array.from(input.values).buffer);
  if (input.type === 'INT64') return new Uint8Array(BigInt64Array.from(input.values).buffer);
  const texts = input.values.map((value) => Buffer.from(value, 'utf8'));
  const raw = Buffer.alloc(texts.reduce((size, text) => size + 4 + text.length, 0));
  let at = 0;
  for (const text of texts) {
    at = raw.writeUInt32LE(text.length, at);
    at += text.copy(raw, at);
  }
  return raw;
}

function floatsOf(response: ModelInferResponse, name: string): Float32Array {
  const index = response.outputs.findIndex((output) => output.name === name);
  const output = response.outputs[index];
  if (!output)
    throw invalidField('output', `${name} is not there`, response.outputs.map((o) => o.name).join(', '));
  const raw = response.rawOutputContents[index];
  if (output.datatype !== 'FP32' || !raw) {
    throw new CodedError(
      'failed_precondition',
      'WRONG_STATE',
      `output ${name} is ${output.datatype}, not raw FP32`,
    );
  }
  return new Float32Array(raw.slice().buffer);
}
