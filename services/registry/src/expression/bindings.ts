import type { CelInput } from '@bufbuild/cel';
import { TensorType } from '@millrace/contracts/common';
import type { Contender, Scope } from '../domain/decision.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import type { TensorInfo } from '../domain/version.ts';

/** The fields of `candidate` and `champion`. */
export const contenderFields = [
  'version',
  'metrics',
  'tags',
  'row_count',
  'dataset',
  'inputs',
  'outputs',
] as const;

/** The fields that come from an evaluation. */
export const measuredFields: readonly string[] = ['metrics', 'row_count', 'dataset'];

/** The variables of an expression. Without a champion its numbers and texts are zero and empty, its maps empty. */
export function bindingsOf(scope: Scope): Record<string, CelInput> {
  return {
    alias: scope.alias,
    has_champion: scope.champion !== undefined,
    same_signature: scope.sameSignature,
    candidate: contender(scope.candidate, scope.candidateEvaluation),
    champion: contender(scope.champion, scope.championEvaluation),
  };
}

function contender(who: Contender | undefined, evaluation: Evaluation | undefined): CelInput {
  return new Map<string, CelInput>([
    ['version', BigInt(who?.version ?? 0)],
    ['metrics', new Map(evaluation?.metrics.map(({ name, value }) => [name, value]))],
    ['tags', new Map(who?.tags.map(({ key, value }) => [key, value]))],
    ['row_count', BigInt(evaluation?.rowCount ?? 0)],
    ['dataset', evaluation?.dataset ?? ''],
    ['inputs', (who?.signature?.inputs ?? []).map(tensor)],
    ['outputs', (who?.signature?.outputs ?? []).map(tensor)],
  ]);
}

/** The names of element types by their numbers: `FP32`. */
const typeNames = new Map<number, string>(Object.entries(TensorType).map(([name, number]) => [number, name]));

function tensor({ name, type, shape }: TensorInfo): CelInput {
  return new Map<string, CelInput>([
    ['name', name],
    ['type', typeNames.get(type) ?? ''],
    ['shape', shape.map(BigInt)],
  ]);
}
