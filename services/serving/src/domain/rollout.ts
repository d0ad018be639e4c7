import {
  type Decision,
  type Deployment,
  type Happening,
  type TargetSpec,
  type TargetStatus,
  targetKey,
} from './deployment.ts';

function changeStatus(
  doc: Deployment,
  key: string,
  change: (status: TargetStatus, target: TargetSpec) => TargetStatus | undefined,
): Deployment | undefined {
  const i = doc.spec.targets.findIndex((target) => targetKey(target) === key);
  const [target, status] = [doc.spec.targets[i], doc.statuses[i]];
  const changed = target && status && change(status, target);
  if (!changed) return undefined;
  return { ...doc, statuses: doc.statuses.with(i, changed) };
}

/** An alias points elsewhere, or was found to point there. Version 0: it points nowhere. */
export function followAlias(
  doc: Deployment,
  alias: {
    readonly model: string;
    readonly alias: string;
    readonly version: number;
    readonly revision: number;
  },
  nowMs: number,
): Decision {
  const key = `${alias.model}@${alias.alias}`;
  const changed = changeStatus(doc, key, (status) => {
    if (alias.revision <= status.revision) return undefined;
    const { version, revision } = alias;
    if (version === status.wantedVersion) return { ...status, revision };
    const kept = status.loadedVersion ? `; version ${status.loadedVersion} goes on answering` : '';
    if (version === 0)
      return {
        ...status,
        revision,
        wantedVersion: 0,
        digest: '',
        state: 'failed',
        reason: `the alias ${alias.alias} was removed${kept}`,
        changedAtMs: nowMs,
      };
    const reason = `the alias ${alias.alias} moved to version ${version}`;
    return {
      ...status,
      revision,
      wantedVersion: version,
      digest: '',
      state: 'loading',
      reason,
      changedAtMs: nowMs,
    };
  });
  return changed && { doc: changed, happened: [] };
}

/** A version is loaded and answers. */
export function recordLoaded(
  doc: Deployment,
  key: string,
  loaded: {
    readonly version: number;
    readonly digest: string;
    readonly loadMs: number;
    readonly memoryBytes: number;
  },
  nowMs: number,
): Decision {
  const { version, digest, memoryBytes } = loaded;
  let happened: Happening[] = [];
  const changed = changeStatus(doc, key, (status, target) => {
    const current = status.wantedVersion === version;
    const known = status.loadedVersion === version && status.loadedDigest === digest;
    if (known && (status.state === 'ready' || !current)) return undefined;
    happened = [{ kind: 'loaded', target, previousVersion: status.loadedVersion, ...loaded }];
    const common = { ...status, loadedVersion: version, loadedDigest: digest, memoryBytes };
    if (!current) return common;
    return { ...common, wantedVersion: version, digest, state: 'ready', reason: '', changedAtMs: nowMs };
  });
  return changed && { doc: changed, happened };
}

/** A version could not be loaded. What answered before goes on. */
export function recordFailed(
  doc: Deployment,
  key: string,
  failed: { readonly version: number; readonly keptVersion: number; readonly reason: string },
  nowMs: number,
): Decision {
  let happened: Happening[] = [];
  const changed = changeStatus(doc, key, (status, target) => {
    if (status.wantedVersion !== failed.version) return undefined;
    if (status.state === 'failed' && status.reason === failed.reason) return undefined;
    happened = [{ kind: 'failed', target, ...failed }];
    const { reason, keptVersion } = failed;
    return { ...status, loadedVersion: keptVersion, state: 'failed', reason, changedAtMs: nowMs };
  });
  return changed && { doc: changed, happened };
}

/** Loading waits for something that may come by itself, for example the registry. Nothing to tell others. */
export function recordWaiting(doc: Deployment, key: string, reason: string, nowMs: number): Decision {
  const changed = changeStatus(doc, key, (status) =>
    status.state === 'loading' && status.reason === reason
      ? undefined
      : { ...status, state: 'loading', reason, changedAtMs: nowMs },
  );
  return changed && { doc: changed, happened: [] };
}
