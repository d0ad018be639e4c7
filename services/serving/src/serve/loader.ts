import { CodedError } from '@millrace/errors';
import { batchLimits, type Deployment, type TargetSpec, targetKey } from '../domain/deployment.ts';
import { lookupProblem } from '../domain/lookup.ts';
import type { Engine } from '../engine/engine.ts';
import { liveTarget } from './live.ts';
import type { ModelSource } from './model-source.ts';

export interface LoaderOptions {
  readonly source: ModelSource;
  readonly engine: Engine;
  /** The workers there are: the most instances a model can have. */
  readonly workers: number;
}

/** Fetches, loads, warms up and checks a version for a target. It answers nobody yet. */
export function createLoader(options: LoaderOptions) {
  const { source, engine } = options;
  let serial = 0;

  const settingsOf = (doc: Deployment) => JSON.stringify([batchLimits(doc.spec), doc.spec.instances || 1]);

  const load = async (key: string, doc: Deployment, target: TargetSpec, version: number, known: string) => {
    const startMs = performance.now();
    const fetched = await source.fetch(target.model, version, known);
    const settings = settingsOf(doc);
    const model = await engine.open({
      key: `${key} ${targetKey(target)} v${version} #${++serial}`,
      bytes: fetched.bytes,
      instances: Math.min(doc.spec.instances || 1, options.workers),
      limits: batchLimits(doc.spec),
    });
    const { lookup } = doc.spec;
    const problem = lookup && lookupProblem(lookup, model.signature);
    if (problem) {
      await model.close();
      throw unfit(problem);
    }
    const { digest } = fetched;
    const live = liveTarget({
      key: targetKey(target),
      spec: target,
      version,
      digest,
      model,
      settings,
      lookup,
    });
    return { live, loadMs: performance.now() - startMs };
  };

  return { load, settingsOf };
}

/** The model and the look-up of its deployment do not fit. */
export function unfit(problem: string): CodedError {
  return new CodedError(
    'failed_precondition',
    'MODEL_UNFIT',
    `the model does not fit the deployment: ${problem}`,
  );
}
