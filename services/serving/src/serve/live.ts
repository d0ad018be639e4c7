import { CodedError, notFound } from '@millrace/errors';
import type { DeploymentSpec, TargetSpec } from '../domain/deployment.ts';
import type { LookupSpec } from '../domain/lookup.ts';
import { choose } from '../domain/split.ts';
import type { EngineModel } from '../engine/engine.ts';

/** A target with a model that answers. */
export interface LiveTarget {
  readonly key: string;
  readonly spec: TargetSpec;
  readonly version: number;
  readonly digest: string;
  readonly model: EngineModel;
  /** Names the instances and batch limits it was loaded with. */
  readonly settings: string;
  /** The look-up that feeds it; it was checked against the model's signature. */
  readonly lookup: LookupSpec | null;
  /** Says that a request uses it; what it returns says that it does no more. */
  use(): () => void;
  /** Settles when no request uses it. */
  idle(): Promise<void>;
}

/** A deployment as requests see it: replaced as a whole, so that each request sees one state of it. */
export interface LiveDeployment {
  readonly project: string;
  readonly id: string;
  /** Its full name. */
  readonly name: string;
  readonly spec: DeploymentSpec;
  readonly unloaded: boolean;
  readonly targets: readonly LiveTarget[];
  /** Why targets are not ready, for people; by target. */
  readonly reasons: ReadonlyMap<string, string>;
}

/** Wraps a loaded model as a target. */
export function liveTarget(loaded: Omit<LiveTarget, 'use' | 'idle'>): LiveTarget {
  let users = 0;
  let waiters: (() => void)[] = [];
  return {
    ...loaded,
    use() {
      users += 1;
      let used = true;
      return () => {
        if (!used) return;
        used = false;
        users -= 1;
        if (users > 0) return;
        for (const wake of waiters) wake();
        waiters = [];
      };
    },
    idle: () => (users === 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
  };
}

/** The same model under a changed target: another weight, another look-up. Uses are counted together. */
export function respecify(
  target: LiveTarget,
  change: Partial<Pick<LiveTarget, 'spec' | 'lookup'>>,
): LiveTarget {
  return { ...target, ...change };
}

/** Which deployments answer. */
export interface Routes {
  readonly all: ReadonlyMap<string, LiveDeployment>;
  set(key: string, deployment: LiveDeployment): void;
  delete(key: string): void;
  /** The deployment that an OIP model name names: `deployment` of the project `default`, or `project/deployment`. */
  find(modelName: string): LiveDeployment;
}

export function createRoutes(): Routes {
  const all = new Map<string, LiveDeployment>();
  return {
    all,
    set: (key, deployment) => void all.set(key, deployment),
    delete: (key) => void all.delete(key),
    find(modelName) {
      const found = all.get(keyOfModelName(modelName));
      if (!found) throw notFound(`the model ${JSON.stringify(modelName.slice(0, 128))}`);
      return found;
    },
  };
}

/** The stored key of the deployment that an OIP model name names. */
export function keyOfModelName(modelName: string): string {
  return modelName.includes('/') ? modelName : `default/${modelName}`;
}

/** The OIP model name of a deployment. */
export function modelNameOf(deployment: { readonly project: string; readonly id: string }): string {
  return deployment.project === 'default' ? deployment.id : `${deployment.project}/${deployment.id}`;
}

/** The target that answers a request: the version asked for, or by weight and the request's id. */
export function chooseTarget(deployment: LiveDeployment, version: string, requestId: string): LiveTarget {
  if (version !== '') {
    const found = deployment.targets.find((target) => String(target.version) === version);
    if (found) return found;
    throw notFound(`version ${JSON.stringify(version.slice(0, 32))} of the model ${modelNameOf(deployment)}`);
  }
  const ready = deployment.targets.filter((target) => !target.spec.shadow);
  const chosen = choose(
    ready.map((target) => ({ target, weight: target.spec.weight })),
    requestId,
    deployment.name,
  );
  if (chosen) return chosen.target;
  throw notReady(deployment);
}

/** The targets that run in the shadow of a request. */
export function shadowsOf(deployment: LiveDeployment): readonly LiveTarget[] {
  return deployment.targets.filter((target) => target.spec.shadow);
}

function notReady(deployment: LiveDeployment): CodedError {
  const reasons = [...deployment.reasons.values()].filter(Boolean).join('; ');
  const why = deployment.unloaded ? 'it was unloaded' : reasons || 'its model is loading';
  return new CodedError('unavailable', 'MODEL_NOT_READY', `${modelNameOf(deployment)} is not ready: ${why}`, {
    retryAfterMs: 1000,
  });
}
