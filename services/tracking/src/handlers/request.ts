import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { names } from '@millrace/contracts';
import { LifecycleView } from '@millrace/contracts/tracking';
import type { RequestLedger } from '@millrace/documents';
import { invalidField } from '@millrace/errors';
import { mutate } from '@millrace/service';
import { experimentNumber } from '../domain/experiment.ts';
import type { View, WriteGuard } from '../store/experiments.ts';

/** Takes apart the name of a run; INVALID_FIELD naming `field` when it is not one. */
export function parseRun(name: string, field: string): { readonly project: string; readonly id: string } {
  const { project, run } = names.run.parse(name, field);
  if (/^[0-9a-f]{32}$/.test(run)) return { project, id: run };
  throw invalidField(field, 'does not end in a run id', '32 lowercase hexadecimal digits');
}

/** Takes apart the name of an experiment; INVALID_FIELD naming `field` when it is not one. */
export function parseExperiment(name: string, field: string) {
  const { project, experiment } = names.experiment.parse(name, field);
  return { project, number: experimentNumber(experiment, field) };
}

export function viewOf(view: LifecycleView): View {
  if (view === LifecycleView.ALL) return 'ALL';
  return view === LifecycleView.DELETED_ONLY ? 'DELETED' : 'ACTIVE';
}

/** Refuses mask paths that cannot be changed. */
export function pathsOf<P extends string>(
  mask: { readonly paths: readonly string[] } | undefined,
  allowed: readonly P[],
): ReadonlySet<P> {
  const paths = mask?.paths ?? [];
  const wrong = paths.find((path) => !allowed.some((known) => known === path));
  if (paths.length === 0 || wrong !== undefined) {
    const what =
      wrong === undefined ? 'names no field' : `${JSON.stringify(wrong.slice(0, 80))} cannot be changed`;
    throw invalidField('update_mask', what, allowed.join(', '));
  }
  return new Set(paths as P[]);
}

/** Runs a mutating call once for each request id. */
export type Once = <I extends DescMessage, O extends DescMessage>(
  method: Pick<DescMethod, 'parent' | 'name'> & { readonly input: I; readonly output: O },
  project: string,
  request: MessageShape<I> & { readonly requestId: string },
  run: (id: string, guard: WriteGuard) => Promise<MessageInitShape<O>>,
) => Promise<MessageInitShape<O>>;

export function createOnce(ledger: RequestLedger): Once {
  return (method, project, request, run) => {
    const { name, input, output, parent } = method;
    const options = { ledger, method: `${parent.typeName}/${name}`, project, input, output };
    return mutate(options, request, ({ id, requestId }) => run(id, requestId ? { requestId } : {}));
  };
}
