import type { PipelineSpec } from './spec.ts';

/** A pipeline with its newest version. */
export interface Pipeline {
  readonly project: string;
  readonly name: string;
  readonly description: string;
  readonly spec: PipelineSpec;
  readonly specDigest: string;
  readonly version: number;
  readonly createdAtMs: number;
  /** When the newest version was applied. */
  readonly updatedAtMs: number;
}

/** What applying a specification does: a new version, another description, or nothing. */
export function decideApply(
  present: Pipeline | undefined,
  wanted: Pick<Pipeline, 'project' | 'name' | 'description' | 'spec' | 'specDigest'>,
  nowMs: number,
): { readonly pipeline: Pipeline; readonly newVersion: boolean } | undefined {
  if (!present)
    return { pipeline: { ...wanted, version: 1, createdAtMs: nowMs, updatedAtMs: nowMs }, newVersion: true };
  const { description } = wanted;
  if (present.specDigest === wanted.specDigest)
    return present.description === description
      ? undefined
      : { pipeline: { ...present, description }, newVersion: false };
  const { version, createdAtMs } = present;
  return { pipeline: { ...wanted, version: version + 1, createdAtMs, updatedAtMs: nowMs }, newVersion: true };
}
