import { invalidField } from '@millrace/errors';
import type { BatchLimits } from './batch-queue.ts';
import type { LookupSpec } from './lookup.ts';

/** One model of a deployment; `alias` or `version` is set, the other empty or 0. */
export type TargetSpec = {
  /** The model's full name. */
  readonly model: string;
  readonly alias: string;
  readonly version: number;
  readonly weight: number;
  readonly shadow: boolean;
};

type LoggingMode = 'off' | 'sampled' | 'whole';

export type LoggingSpec = {
  readonly mode: LoggingMode;
  readonly sampleRate: number;
  readonly tensorColumns: readonly { readonly tensor: string; readonly columns: readonly string[] }[];
};

/** What users say of a deployment. */
export type DeploymentSpec = {
  readonly description: string;
  readonly targets: readonly TargetSpec[];
  readonly lookup: LookupSpec | null;
  /** 0 stands for the default. */
  readonly batching: {
    readonly maxRows: number;
    readonly maxDelayMs: number;
    readonly maxQueueRows: number;
  };
  readonly instances: number;
  readonly logging: LoggingSpec;
  readonly tags: readonly { readonly key: string; readonly value: string }[];
};

export type TargetState = 'loading' | 'ready' | 'failed' | 'unloaded';

/** How a target stands. */
export type TargetStatus = {
  /** 0 while it is not known. */
  readonly wantedVersion: number;
  /** The alias's place in its history that said so; older news is ignored. */
  readonly revision: number;
  /** The digest of the wanted version; empty until it was fetched once. */
  readonly digest: string;
  readonly loadedVersion: number;
  /** The digest of the loaded version. */
  readonly loadedDigest: string;
  readonly state: TargetState;
  readonly reason: string;
  readonly changedAtMs: number;
  readonly memoryBytes: number;
};

/** A deployment as it is stored. */
export type Deployment = {
  readonly project: string;
  readonly id: string;
  readonly spec: DeploymentSpec;
  readonly unloaded: boolean;
  /** One for each target of the spec, in its order. */
  readonly statuses: readonly TargetStatus[];
};

/** What happened to a deployment, to be told as events. */
export type Happening =
  | { readonly kind: 'created' }
  | { readonly kind: 'changed'; readonly fields: readonly string[] }
  | {
      readonly kind: 'loaded';
      readonly target: TargetSpec;
      readonly version: number;
      readonly previousVersion: number;
      readonly digest: string;
      readonly loadMs: number;
      readonly memoryBytes: number;
    }
  | {
      readonly kind: 'failed';
      readonly target: TargetSpec;
      readonly version: number;
      readonly keptVersion: number;
      readonly reason: string;
    }
  | { readonly kind: 'unloaded'; readonly model: string; readonly version: number; readonly reason: string };

/** A deployment after a decision and what happened; undefined when nothing did. */
export type Decision = { readonly doc: Deployment; readonly happened: readonly Happening[] } | undefined;

/** Names a target within its deployment. */
export function targetKey(target: TargetSpec): string {
  return target.alias ? `${target.model}@${target.alias}` : `${target.model}@${target.version}`;
}

/** The limits of a deployment's batches, with the defaults filled in. */
export function batchLimits({ batching }: DeploymentSpec): BatchLimits {
  const maxRows = batching.maxRows || 64;
  return {
    maxRows,
    maxDelayMs: batching.maxDelayMs,
    maxQueueRows: batching.maxQueueRows || Math.max(16_384, 16 * maxRows),
  };
}

/** Refuses a spec that contradicts itself; each field alone was checked before. */
function checkSpec(project: string, spec: DeploymentSpec): void {
  const seen = new Set<string>();
  for (const [i, target] of spec.targets.entries()) {
    const at = `deployment.targets[${i}]`;
    if (!target.model.startsWith(`projects/${project}/`))
      throw invalidField(`${at}.model`, 'a model of another project', `projects/${project}/models/{model}`);
    if (!target.alias && !target.version)
      throw invalidField(at, 'neither alias nor version is set', 'one of the two');
    const key = targetKey(target);
    if (seen.has(key)) throw invalidField(at, 'the same model and version twice', 'each once');
    seen.add(key);
  }
  if (!spec.targets.some((target) => !target.shadow && target.weight > 0))
    throw invalidField(
      'deployment.targets',
      'no target has a weight',
      'at least one weight above 0 that is not a shadow',
    );
  if (spec.batching.maxDelayMs < 0 || spec.batching.maxDelayMs > 10_000)
    throw invalidField('deployment.batching.max_delay', `${spec.batching.maxDelayMs} ms`, '0 s to 10 s');
  if (spec.logging.mode === 'sampled' && !(spec.logging.sampleRate > 0))
    throw invalidField('deployment.logging.sample_rate', 'not set', 'above 0 to 1 in SAMPLED mode');
}

const unknownStatus = (nowMs: number): TargetStatus => ({
  wantedVersion: 0,
  revision: 0,
  digest: '',
  loadedVersion: 0,
  loadedDigest: '',
  state: 'loading',
  reason: 'the version is being looked up',
  changedAtMs: nowMs,
  memoryBytes: 0,
});

/** A new deployment. */
export function createDeployment(
  project: string,
  id: string,
  spec: DeploymentSpec,
  nowMs: number,
): Deployment {
  checkSpec(project, spec);
  return {
    project,
    id,
    spec,
    unloaded: false,
    statuses: spec.targets.map((target) => freshStatus(target, nowMs)),
  };
}

function freshStatus(target: TargetSpec, nowMs: number): TargetStatus {
  const status = unknownStatus(nowMs);
  if (!target.version) return status;
  return { ...status, wantedVersion: target.version, reason: 'it will be fetched and loaded' };
}

/** Another spec. Targets that stay keep their status; a change wakes an unloaded deployment. */
export function changeSpec(doc: Deployment, spec: DeploymentSpec, nowMs: number): Decision {
  checkSpec(doc.project, spec);
  const fields = changedFields(doc.spec, spec);
  if (fields.length === 0 && !doc.unloaded) return undefined;
  const before = new Map(doc.spec.targets.map((target, i) => [targetKey(target), doc.statuses[i]]));
  const statuses = spec.targets.map((target) => {
    const status = doc.unloaded ? undefined : before.get(targetKey(target));
    // A target that failed may fail no more with another look-up or another size.
    if (status?.state === 'failed')
      return { ...status, state: 'loading' as const, reason: 'its deployment changed' };
    return status ?? freshStatus(target, nowMs);
  });
  return { doc: { ...doc, spec, unloaded: false, statuses }, happened: [{ kind: 'changed', fields }] };
}

const specFields: Readonly<Record<keyof DeploymentSpec, string>> = {
  description: 'description',
  targets: 'targets',
  lookup: 'feature_lookup',
  batching: 'batching',
  instances: 'instances',
  logging: 'logging',
  tags: 'tags',
};

function changedFields(before: DeploymentSpec, after: DeploymentSpec): string[] {
  const show = (value: unknown) =>
    JSON.stringify(value, (_, v: unknown) =>
      typeof v === 'bigint' || typeof v === 'number' ? String(v) : v,
    );
  return (Object.keys(specFields) as (keyof DeploymentSpec)[])
    .filter((key) => show(before[key]) !== show(after[key]))
    .map((key) => specFields[key]);
}

/** Unloads on request. */
export function unloadDeployment(doc: Deployment, nowMs: number): Decision {
  if (doc.unloaded) return undefined;
  const statuses = doc.statuses.map((status) => ({
    ...status,
    loadedVersion: 0,
    loadedDigest: '',
    memoryBytes: 0,
    state: 'unloaded' as const,
    reason: 'unloaded on request',
    changedAtMs: nowMs,
  }));
  return { doc: { ...doc, unloaded: true, statuses }, happened: [] };
}

/** Loads again on request: failed and unloaded targets get another try. */
export function reloadDeployment(doc: Deployment, nowMs: number): Decision {
  const statuses = doc.statuses.map((status) =>
    status.state === 'ready'
      ? status
      : { ...status, state: 'loading' as const, reason: 'loading was asked for', changedAtMs: nowMs },
  );
  return { doc: { ...doc, unloaded: false, statuses }, happened: [] };
}

/** The version that an etag asks for; undefined when it asks for none. */
export function checkEtag(etag: string, field = 'etag'): number | undefined {
  if (etag === '') return undefined;
  if (!/^[1-9]\d{0,14}$/.test(etag))
    throw invalidField(
      field,
      `${JSON.stringify(etag)} is no etag`,
      'the etag of the resource as it was read',
    );
  return Number(etag);
}
