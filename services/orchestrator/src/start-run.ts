import { names } from '@millrace/contracts';
import { invalidFields, notFound } from '@millrace/errors';
import { completeParameters, type Parameter } from './domain/parameters.ts';
import type { Origin, Run } from './domain/run.ts';
import type { Engine } from './engine/engine.ts';
import type { Store } from './store/store.ts';

/** What a run is made of. */
interface RunRequest {
  readonly project: string;
  /** The run's id: the same id is the same run. */
  readonly id: string;
  readonly pipeline: string;
  /** 0 means the newest. */
  readonly version: number;
  readonly parameters: readonly Parameter[];
  readonly tags: Run['tags'];
  readonly noCache: boolean;
  readonly origin: Origin;
  readonly retryOf?: string;
}

/** Creates a run and hands it to the engine. NOT_FOUND for an unknown pipeline or version, INVALID_FIELD for parameters. */
export type StartRun = (request: RunRequest) => Promise<Awaited<ReturnType<Store['createRun']>>>;

export function createStartRun(
  store: Store,
  engine: Engine,
  now: () => number,
  onError: (error: unknown) => void,
): StartRun {
  return async (request) => {
    const { project, pipeline, version, parameters, ...rest } = request;
    const found = await store.getVersion(project, pipeline, version);
    if (!found)
      throw notFound(
        version === 0
          ? names.pipeline.format({ project, pipeline })
          : names.pipelineVersion.format({ project, pipeline, version: String(version) }),
      );
    const completed = completeParameters(found.spec, parameters, 'pipeline_run.parameters');
    if ('violations' in completed) throw invalidFields(completed.violations);
    const made = await store.createRun({
      ...rest,
      project,
      pipeline,
      version: found.version,
      parameters: completed.parameters,
      state: 'pending',
      reason: '',
      createdAtMs: now(),
    });
    // The answer does not wait for the first step.
    if (made.created) void engine.submit(made.run.doc).catch(onError);
    return made;
  };
}
