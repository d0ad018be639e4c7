import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { registryEvents } from '@millrace/contracts/registry-events';
import { type EventDraft, newId } from '@millrace/documents';
import { draft } from '@millrace/events';
import type { Alias } from '../domain/alias.ts';
import type { Decision } from '../domain/decision.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { Gate } from '../domain/gate.ts';
import { type Edge, nodeKind } from '../domain/lineage.ts';
import type { Model } from '../domain/model.ts';
import { briefTags } from '../domain/tag.ts';
import type { ModelVersion } from '../domain/version.ts';
import type { ModelRef } from '../store/keys.ts';
import {
  aliasName,
  decisionName,
  evaluationName,
  gateName,
  modelName,
  optionalVersionName,
  versionName,
} from '../store/names.ts';
import { decisionMessage, evaluationMessage } from './resources.ts';
import { edgeKinds, moveCauses, nodeKinds, signatureMessage } from './words.ts';

/** The events of changes; each is stored in the same step as its change. */
export const announce = {
  modelCreated(model: Model, timeMs: number): EventDraft[] {
    const name = modelName(model);
    const data = { model: name, description: model.description, tags: briefTags(model.tags) };
    return [draft(registryEvents.modelCreated, { project: model.project, resource: name, timeMs, data })];
  },

  modelUpdated(model: Model, timeMs: number): EventDraft[] {
    const name = modelName(model);
    const data = { model: name, description: model.description, tags: briefTags(model.tags) };
    return [draft(registryEvents.modelUpdated, { project: model.project, resource: name, timeMs, data })];
  },

  modelDeleted(ref: ModelRef, id: string, timeMs: number): EventDraft[] {
    const name = modelName(ref);
    return [
      draft(registryEvents.modelDeleted, {
        id,
        project: ref.project,
        resource: name,
        timeMs,
        data: { model: name },
      }),
    ];
  },

  versionRegistered(version: ModelVersion, timeMs: number): EventDraft[] {
    const { sourceRun, trainingSet, pipelineRun, digest } = version;
    const data = {
      ...identityOf(version),
      digest,
      sizeBytes: BigInt(version.sizeBytes),
      sourceRun,
      trainingSet,
      pipelineRun,
      tags: briefTags(version.tags),
    };
    return [draft(registryEvents.modelVersionRegistered, { ...aboutVersion(version, timeMs), data })];
  },

  /** What the checks of a version found: READY or REJECTED. */
  versionValidated(version: ModelVersion, timeMs: number): EventDraft[] {
    const about = aboutVersion(version, timeMs);
    if (version.state === 'REJECTED') {
      const data = { ...identityOf(version), reasons: [...version.reasons] };
      return [draft(registryEvents.modelVersionRejected, { ...about, data })];
    }
    const signature = version.signature ? { signature: signatureMessage(version.signature) } : {};
    const { digest } = version;
    const data = { ...identityOf(version), digest, sizeBytes: BigInt(version.sizeBytes), ...signature };
    return [draft(registryEvents.modelVersionReady, { ...about, data })];
  },

  versionUpdated(version: ModelVersion, timeMs: number): EventDraft[] {
    const data = { ...identityOf(version), description: version.description, tags: briefTags(version.tags) };
    return [draft(registryEvents.modelVersionUpdated, { ...aboutVersion(version, timeMs), data })];
  },

  versionDeleted(version: ModelVersion, timeMs: number, id = newId()): EventDraft[] {
    return [
      draft(registryEvents.modelVersionDeleted, {
        id,
        ...aboutVersion(version, timeMs),
        data: identityOf(version),
      }),
    ];
  },

  /** The newest move of an alias. */
  aliasMoved(ref: ModelRef, alias: Alias): EventDraft[] {
    const move = alias.moves.at(-1);
    if (!move) return [];
    const name = aliasName(ref, alias.alias);
    const common = {
      name,
      model: modelName(ref),
      alias: alias.alias,
      previousModelVersion: optionalVersionName(ref, move.previous),
      previousVersion: move.previous ?? 0,
      revision: BigInt(move.revision),
      actor: move.actor,
    };
    const about = { project: ref.project, resource: name, timeMs: move.timeMs };
    if (move.version === null) return [draft(registryEvents.aliasRemoved, { ...about, data: common })];
    const data = {
      ...common,
      modelVersion: versionName({ ...ref, version: move.version }),
      version: move.version,
      decision: move.decision ? decisionName(ref, move.decision) : '',
      cause: moveCauses.toWire(move.cause),
    };
    return [draft(registryEvents.aliasMoved, { ...about, data })];
  },

  evaluationRecorded(id: string, evaluation: Evaluation, timeMs: number): EventDraft[] {
    const data = {
      modelVersion: versionName(evaluation),
      evaluation: evaluationMessage(id, evaluation, timeMs),
    };
    const resource = evaluationName(evaluation, id);
    return [
      draft(registryEvents.evaluationRecorded, { project: evaluation.project, resource, timeMs, data }),
    ];
  },

  gateDecided(id: string, decision: Decision): EventDraft[] {
    const { project, timeMs } = decision;
    const data = { model: modelName(decision), decision: decisionMessage(id, decision) };
    return [
      draft(registryEvents.gateDecided, { project, resource: decisionName(decision, id), timeMs, data }),
    ];
  },

  edgeAdded(edge: Edge, timeMs: number): EventDraft[] {
    const { project, from, to, kind } = edge;
    const kinds = [from, to].map((resource) => nodeKind(resource));
    const data = {
      edge: { from, to, kind: edgeKinds.toWire(kind), createTime: timestampFromMs(timeMs) },
      ...(kinds[0] ? { fromKind: nodeKinds.toWire(kinds[0]) } : {}),
      ...(kinds[1] ? { toKind: nodeKinds.toWire(kinds[1]) } : {}),
    };
    return [draft(registryEvents.lineageEdgeAdded, { project, resource: to, timeMs, data })];
  },

  gateChanged(gate: Gate, deleted: boolean, timeMs: number, id = newId()): EventDraft[] {
    const name = gateName(gate);
    const { alias, expression, dataset, allowFirst, description } = gate;
    const data = { gate: { name, alias, expression, dataset, allowFirst, description }, deleted };
    return [draft(registryEvents.gateChanged, { id, project: gate.project, resource: name, timeMs, data })];
  },
} as const;

function identityOf(version: ModelVersion) {
  return { modelVersion: versionName(version), model: modelName(version), version: version.version };
}

function aboutVersion(version: ModelVersion, timeMs: number) {
  return { project: version.project, resource: versionName(version), timeMs };
}
