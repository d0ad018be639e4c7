import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type {
  AliasMoveSchema,
  AliasSchema,
  EvaluationSchema,
  GateDecisionSchema,
  GateResultSchema,
  GateSchema,
  ModelSchema,
  ModelVersionSchema,
} from '@millrace/contracts/registry';
import type { Versioned } from '@millrace/documents';
import { type Alias, type AliasMove, aliasesOf } from '../domain/alias.ts';
import type { Decision, GateResult } from '../domain/decision.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { Gate } from '../domain/gate.ts';
import type { ModelLine } from '../domain/line.ts';
import type { Model } from '../domain/model.ts';
import type { ModelVersion, OnnxDetails } from '../domain/version.ts';
import type { ModelRef } from '../store/keys.ts';
import * as name from '../store/names.ts';
import { moveCauses, outcomes, reasonCodes, signatureMessage, verdicts, versionStates } from './words.ts';

/** What the domain knows, as messages. */

function stamps(stored: Versioned<unknown>) {
  return {
    etag: String(stored.version),
    createTime: timestampFromMs(stored.createdAtMs),
    updateTime: timestampFromMs(stored.updatedAtMs),
  };
}

export function modelMessage(
  stored: Versioned<Model>,
  line: ModelLine,
): MessageInitShape<typeof ModelSchema> {
  const { doc } = stored;
  return {
    ...stamps(stored),
    name: name.modelName(doc),
    description: doc.description,
    tags: [...doc.tags],
    latestVersion: line.lastVersion,
    aliases: line.aliases.flatMap(({ alias, version }) => (version === null ? [] : [{ alias, version }])),
  };
}

export function versionMessage(
  stored: Versioned<ModelVersion>,
  line: ModelLine,
): MessageInitShape<typeof ModelVersionSchema> {
  const { doc } = stored;
  const { version, description, sourceRun, trainingSet, pipelineRun, digest } = doc;
  return {
    ...stamps(stored),
    ...{ version, description, sourceRun, trainingSet, pipelineRun, digest },
    name: name.versionName(doc),
    state: versionStates.toWire(doc.state),
    stateReasons: [...doc.reasons],
    tags: [...doc.tags],
    sizeBytes: BigInt(doc.sizeBytes),
    aliases: [...aliasesOf(line, version)],
    ...(doc.signature ? { signature: signatureMessage(doc.signature) } : {}),
    ...(doc.onnx ? { onnx: onnxMessage(doc.onnx) } : {}),
  };
}

function onnxMessage(onnx: OnnxDetails) {
  return {
    irVersion: BigInt(onnx.irVersion),
    operatorSets: onnx.opsets.map((set) => ({ domain: set.domain, version: BigInt(set.version) })),
    producer: onnx.producer,
    operators: [...onnx.operators],
    initializerBytes: BigInt(onnx.initializerBytes),
    metadata: [...onnx.metadata],
    nodeCount: onnx.nodeCount,
  };
}

export function aliasMessage(ref: ModelRef, alias: Alias): MessageInitShape<typeof AliasSchema> {
  return {
    name: name.aliasName(ref, alias.alias),
    modelVersion: name.optionalVersionName(ref, alias.version),
    revision: BigInt(alias.revision),
    moveTime: timestampFromMs(alias.moves.at(-1)?.timeMs ?? 0),
  };
}

export function moveMessage(ref: ModelRef, move: AliasMove): MessageInitShape<typeof AliasMoveSchema> {
  return {
    revision: BigInt(move.revision),
    modelVersion: name.optionalVersionName(ref, move.version),
    previousModelVersion: name.optionalVersionName(ref, move.previous),
    cause: moveCauses.toWire(move.cause),
    decision: move.decision ? name.decisionName(ref, move.decision) : '',
    comment: move.comment,
    actor: move.actor,
    moveTime: timestampFromMs(move.timeMs),
  };
}

export function evaluationMessage(
  id: string,
  evaluation: Evaluation,
  createdAtMs: number,
): MessageInitShape<typeof EvaluationSchema> {
  return {
    name: name.evaluationName(evaluation, id),
    dataset: evaluation.dataset,
    datasetDigest: evaluation.datasetDigest,
    metrics: [...evaluation.metrics],
    rowCount: BigInt(evaluation.rowCount),
    sourceRun: evaluation.sourceRun,
    createTime: timestampFromMs(createdAtMs),
  };
}

export function gateMessage(stored: Versioned<Gate>): MessageInitShape<typeof GateSchema> {
  const { alias, expression, dataset, allowFirst, description } = stored.doc;
  return {
    ...stamps(stored),
    name: name.gateName(stored.doc),
    alias,
    expression,
    dataset,
    allowFirst,
    description,
  };
}

/** A decision; an empty id for one that was only tried. */
export function decisionMessage(id: string, decision: Decision): MessageInitShape<typeof GateDecisionSchema> {
  return {
    name: id ? name.decisionName(decision, id) : '',
    alias: decision.alias,
    candidate: name.versionName({ ...decision, version: decision.candidate }),
    champion: name.optionalVersionName(decision, decision.champion),
    verdict: verdicts.toWire(decision.verdict),
    reasonCode: reasonCodes.toWire(decision.code),
    reason: decision.reason,
    results: decision.results.map((result) => resultMessage(decision, result)),
    outcome: outcomes.toWire(decision.outcome),
    actor: decision.actor,
    comment: decision.comment,
    decideTime: timestampFromMs(decision.timeMs),
  };
}

function resultMessage(ref: ModelRef, result: GateResult): MessageInitShape<typeof GateResultSchema> {
  const { project, model } = ref;
  return {
    gate: name.gateName({ project, model, gate: result.gate }),
    expression: result.expression,
    verdict: verdicts.toWire(result.verdict),
    reasonCode: reasonCodes.toWire(result.code),
    reason: result.reason,
    dataset: result.dataset,
    inputs: result.inputs.map(({ path, value }) => ({ path, value: inputValue(value) })),
  };
}

function inputValue(value: number | string | boolean) {
  if (typeof value === 'number') return { case: 'number' as const, value };
  return typeof value === 'string' ? { case: 'text' as const, value } : { case: 'flag' as const, value };
}
