import { names } from '@millrace/contracts';
import { invalidField } from '@millrace/errors';
import type { Pipeline } from '../domain/pipeline.ts';
import type { Store } from '../store/store.ts';

/** The pipeline that a schedule or trigger starts; INVALID_FIELD when it is of another project or does not exist. */
export async function pipelineFor(
  store: Store,
  project: string,
  name: string,
  field: string,
): Promise<Pipeline> {
  const of = names.pipeline.parse(name, field);
  const allowed = `a pipeline of ${project} that was applied before`;
  if (of.project !== project) throw invalidField(field, `it belongs to project ${of.project}`, allowed);
  const found = await store.getVersion(project, of.pipeline, 0);
  if (!found) throw invalidField(field, `${name} does not exist`, allowed);
  return found;
}
