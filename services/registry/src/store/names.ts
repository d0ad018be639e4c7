import { names } from '@millrace/contracts';
import type { ModelRef } from './keys.ts';

/** Full resource names of what the registry stores. */
export function modelName(ref: ModelRef): string {
  return names.model.format(ref);
}

export function versionName(ref: ModelRef & { readonly version: number }): string {
  return names.modelVersion.format({ ...ref, version: String(ref.version) });
}

/** The name of a version of a model; empty for none. */
export function optionalVersionName(ref: ModelRef, version: number | null): string {
  return version === null ? '' : versionName({ ...ref, version });
}

export function aliasName(ref: ModelRef, alias: string): string {
  return names.alias.format({ ...ref, alias });
}

export function gateName(ref: ModelRef & { readonly gate: string }): string {
  return names.gate.format(ref);
}

export function decisionName(ref: ModelRef, decision: string): string {
  return names.gateDecision.format({ ...ref, decision });
}

export function evaluationName(ref: ModelRef & { readonly version: number }, evaluation: string): string {
  return names.evaluation.format({ ...ref, version: String(ref.version), evaluation });
}

/** The name in the lineage graph of a data set that is no resource of a service. */
export function datasetName(project: string, dataset: string): string {
  return `projects/${project}/datasets/${encodeURIComponent(dataset)}`;
}
