import type { TensorType } from '@millrace/contracts/common';
import {
  AliasMoveCause,
  GateDecisionOutcome,
  GateReasonCode,
  GateVerdict,
  LineageEdgeKind,
  LineageNodeKind,
  ModelVersionState,
} from '@millrace/contracts/registry';
import type { MoveCause } from '../domain/alias.ts';
import type { Outcome, ReasonCode, Verdict } from '../domain/decision.ts';
import type { EdgeKind, NodeKind } from '../domain/lineage.ts';
import type { Signature, TensorInfo, VersionState } from '../domain/version.ts';

/** Words of the domain and their numbers on the wire, both ways. */
function words<const W extends string, N extends number>(table: Readonly<Record<W, N>>) {
  const back = new Map<number, W>(Object.entries(table).map(([word, number]) => [number as N, word as W]));
  return {
    toWire: (word: W): N => table[word],
    /** Undefined for UNSPECIFIED. */
    fromWire: (number: number): W | undefined => back.get(number),
  };
}

export const versionStates = words<VersionState, ModelVersionState>({
  PENDING: ModelVersionState.PENDING_VALIDATION,
  READY: ModelVersionState.READY,
  REJECTED: ModelVersionState.REJECTED,
  DELETED: ModelVersionState.DELETED,
});

export const moveCauses = words<MoveCause, AliasMoveCause>({
  SET: AliasMoveCause.SET,
  PROMOTED: AliasMoveCause.PROMOTED,
  ROLLED_BACK: AliasMoveCause.ROLLED_BACK,
  REMOVED: AliasMoveCause.REMOVED,
});

export const verdicts = words<Verdict, GateVerdict>({
  PASSED: GateVerdict.PASSED,
  REFUSED: GateVerdict.REFUSED,
});

export const reasonCodes = words<ReasonCode, GateReasonCode>({
  CONDITION_MET: GateReasonCode.CONDITION_MET,
  CONDITION_NOT_MET: GateReasonCode.CONDITION_NOT_MET,
  FIRST_ALLOWED: GateReasonCode.FIRST_ALLOWED,
  NO_CHAMPION: GateReasonCode.NO_CHAMPION,
  NO_EVALUATION: GateReasonCode.NO_EVALUATION,
  METRIC_MISSING: GateReasonCode.METRIC_MISSING,
  EXPRESSION_FAILED: GateReasonCode.EXPRESSION_FAILED,
  NO_GATES: GateReasonCode.NO_GATES,
  ALREADY_HOLDER: GateReasonCode.ALREADY_HOLDER,
  NOT_READY: GateReasonCode.NOT_READY,
});

export const outcomes = words<Outcome, GateDecisionOutcome>({
  PENDING: GateDecisionOutcome.PENDING,
  APPLIED: GateDecisionOutcome.APPLIED,
  REFUSED: GateDecisionOutcome.REFUSED,
  STALE: GateDecisionOutcome.STALE,
});

export const edgeKinds = words<EdgeKind, LineageEdgeKind>({
  READ_BY: LineageEdgeKind.READ_BY,
  PRODUCED: LineageEdgeKind.PRODUCED,
  TRAINED: LineageEdgeKind.TRAINED,
  DEPLOYED_BY: LineageEdgeKind.DEPLOYED_BY,
  EVALUATED: LineageEdgeKind.EVALUATED,
  STARTED: LineageEdgeKind.STARTED,
});

export const nodeKinds = words<NodeKind, LineageNodeKind>({
  SOURCE: LineageNodeKind.SOURCE,
  FEATURE_VIEW: LineageNodeKind.FEATURE_VIEW,
  TRAINING_SET: LineageNodeKind.TRAINING_SET,
  RUN: LineageNodeKind.RUN,
  PIPELINE: LineageNodeKind.PIPELINE,
  PIPELINE_RUN: LineageNodeKind.PIPELINE_RUN,
  MODEL_VERSION: LineageNodeKind.MODEL_VERSION,
  DEPLOYMENT: LineageNodeKind.DEPLOYMENT,
  DATASET: LineageNodeKind.DATASET,
  TRIGGER: LineageNodeKind.TRIGGER,
  SCHEDULE: LineageNodeKind.SCHEDULE,
});

/** A signature as a message. */
export function signatureMessage(signature: Signature) {
  return { inputs: signature.inputs.map(tensorMessage), outputs: signature.outputs.map(tensorMessage) };
}

function tensorMessage({ name, type, shape }: TensorInfo) {
  return { name, type: type as TensorType, shape: shape.map(BigInt) };
}
