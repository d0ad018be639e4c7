import type { FieldMask } from '@bufbuild/protobuf/wkt';
import { names } from '@millrace/contracts';
import { invalidField, notFound } from '@millrace/errors';
import { findAlias, parseVersion } from '../domain/alias.ts';
import type { Origin } from '../domain/version.ts';
import type { Registry } from '../registry.ts';
import type { ModelRef } from '../store/keys.ts';
import { aliasName } from '../store/names.ts';

/** Reads parts of requests. What breaks a rule is refused with INVALID_FIELD naming the field. */

/** The fields a mask names; all of the allowed ones when it is empty. */
export function maskedFields<const F extends string>(
  mask: FieldMask | undefined,
  allowed: readonly F[],
): readonly F[] {
  if (!mask || mask.paths.length === 0) return allowed;
  return mask.paths.map((path, i) => {
    const field = allowed.find((name) => name === path);
    if (field) return field;
    throw invalidField(
      `update_mask.paths[${i}]`,
      `${JSON.stringify(path)} cannot be changed`,
      allowed.join(', '),
    );
  });
}

/** The size of a page: 0 means 100, more than 1,000 means 1,000. */
export function pageLimit(pageSize: number): number {
  return Math.min(pageSize || 100, 1000);
}

/** What `find` continues after. */
export function pageAfter(pageToken: string): { readonly after?: string } {
  return pageToken ? { after: pageToken } : {};
}

/** The version that a name says, by number or by alias. NOT_FOUND when the alias points nowhere. */
export async function resolveVersion(
  registry: Registry,
  name: string,
  field: string,
): Promise<ModelRef & { readonly version: number }> {
  const { version: segment, ...ref } = names.modelVersion.parse(name, field);
  const version = parseVersion(segment, field);
  if (typeof version === 'number') return { ...ref, version };
  const held = findAlias(await registry.store.line(ref), version)?.version;
  if (!held) throw notFound(aliasName(ref, version));
  return { ...ref, version: held };
}

/** The version that a name says by number. */
export function numberedVersion(name: string, field: string): ModelRef & { readonly version: number } {
  const { version: segment, ...ref } = names.modelVersion.parse(name, field);
  const version = parseVersion(segment, field);
  if (typeof version === 'number') return { ...ref, version };
  throw invalidField(field, `${JSON.stringify(segment)} is no number of a version`, 'a positive integer');
}

/** Where a version came from; every resource must be of the model's project. */
export function originOf(project: string, given: Origin | undefined): Origin {
  const origin = {
    sourceRun: given?.sourceRun ?? '',
    trainingSet: given?.trainingSet ?? '',
    pipelineRun: given?.pipelineRun ?? '',
  };
  requireProject(project, origin.sourceRun, 'model_version.source_run');
  requireProject(project, origin.trainingSet, 'model_version.training_set');
  requireProject(project, origin.pipelineRun, 'model_version.pipeline_run');
  return origin;
}

/** Refuses a resource of another project; none is fine. */
export function requireProject(project: string, resource: string, field: string): void {
  if (resource !== '' && !resource.startsWith(`projects/${project}/`))
    throw invalidField(field, `${resource} is of another project`, `a resource of projects/${project}`);
}
