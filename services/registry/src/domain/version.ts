import type { Wording } from './model.ts';
import type { Tag } from './tag.ts';

/** Where a version is in its life. PENDING becomes READY or REJECTED; everything can become DELETED. */
export type VersionState = 'PENDING' | 'READY' | 'REJECTED' | 'DELETED';

/** An input or output of a model. */
export interface TensorInfo {
  readonly name: string;
  /** A number of millrace.common.v1.TensorType. */
  readonly type: number;
  /** -1 for a dimension that varies. */
  readonly shape: readonly number[];
}

export interface Signature {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
}

/** What an ONNX file says about itself. */
export interface OnnxDetails {
  readonly irVersion: number;
  readonly opsets: readonly { readonly domain: string; readonly version: number }[];
  readonly producer: string;
  readonly operators: readonly string[];
  readonly initializerBytes: number;
  readonly metadata: readonly Tag[];
  readonly nodeCount: number;
}

/** Where a version came from; full resource names, empty when unknown. */
export interface Origin {
  readonly sourceRun: string;
  readonly trainingSet: string;
  readonly pipelineRun: string;
}

/** A version as it is stored. */
export interface ModelVersion extends Wording, Origin {
  readonly project: string;
  readonly model: string;
  readonly version: number;
  readonly state: VersionState;
  /** Why it was rejected. */
  readonly reasons: readonly string[];
  readonly digest: string;
  readonly sizeBytes: number;
  readonly signature: Signature | null;
  readonly onnx: OnnxDetails | null;
}

/** What the checks of a version's bytes found. */
export type Findings =
  | { readonly reasons: readonly string[] }
  | { readonly signature: Signature; readonly onnx: OnnxDetails };

/** Takes what the checks found; undefined when the version is no longer waiting for them. */
export function validated(version: ModelVersion, findings: Findings): ModelVersion | undefined {
  if (version.state !== 'PENDING') return undefined;
  return 'reasons' in findings
    ? { ...version, state: 'REJECTED', reasons: findings.reasons }
    : { ...version, state: 'READY', signature: findings.signature, onnx: findings.onnx };
}

/** Whether two signatures ask for and give the same: names, types and shapes, in any order. */
export function sameSignature(a: Signature | null, b: Signature | null): boolean {
  return canonical(a) === canonical(b);
}

function canonical(signature: Signature | null): string {
  const sorted = (tensors: readonly TensorInfo[] = []) =>
    tensors.map(({ name, type, shape }) => JSON.stringify([name, type, shape])).sort();
  return JSON.stringify([sorted(signature?.inputs), sorted(signature?.outputs)]);
}
