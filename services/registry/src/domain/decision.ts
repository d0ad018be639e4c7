import { compareOn, type Evaluation } from './evaluation.ts';
import type { Gate } from './gate.ts';
import type { Tag } from './tag.ts';
import { type Signature, sameSignature } from './version.ts';

export type Verdict = 'PASSED' | 'REFUSED';

export type ReasonCode =
  | 'CONDITION_MET'
  | 'CONDITION_NOT_MET'
  | 'FIRST_ALLOWED'
  | 'NO_CHAMPION'
  | 'NO_EVALUATION'
  | 'METRIC_MISSING'
  | 'EXPRESSION_FAILED'
  | 'NO_GATES'
  | 'ALREADY_HOLDER'
  | 'NOT_READY';

/** A value that an expression could see, under the path by which it names it. */
export interface GateInput {
  readonly path: string;
  readonly value: number | string | boolean;
}

export interface GateResult {
  readonly gate: string;
  readonly expression: string;
  readonly verdict: Verdict;
  readonly code: ReasonCode;
  readonly reason: string;
  readonly dataset: string;
  readonly inputs: readonly GateInput[];
}

/** What became of a decision. Only PENDING is not final. */
export type Outcome = 'PENDING' | 'APPLIED' | 'REFUSED' | 'STALE';

/** A decision as it is stored. */
export interface Decision {
  readonly project: string;
  readonly model: string;
  readonly alias: string;
  readonly candidate: number;
  readonly champion: number | null;
  /** The revision of the alias against which it was decided: it is applied only there. */
  readonly aliasRevision: number;
  readonly verdict: Verdict;
  readonly code: ReasonCode;
  readonly reason: string;
  readonly results: readonly GateResult[];
  readonly outcome: Outcome;
  readonly actor: string;
  readonly comment: string;
  readonly timeMs: number;
}

/** A version as an expression sees it. */
export interface Contender {
  readonly version: number;
  readonly ready: boolean;
  readonly signature: Signature | null;
  readonly tags: readonly Tag[];
  /** Newest first. */
  readonly evaluations: readonly Evaluation[];
}

/** What an expression is evaluated over. */
export interface Scope {
  readonly alias: string;
  readonly candidate: Contender;
  readonly champion: Contender | undefined;
  readonly sameSignature: boolean;
  readonly candidateEvaluation: Evaluation | undefined;
  readonly championEvaluation: Evaluation | undefined;
}

/** What came of an expression, and what it named. */
export interface Evaluated {
  /** The value, or why there is none. */
  readonly result: boolean | { readonly error: string };
  readonly inputs: readonly GateInput[];
  /** Paths of metrics that it names and the evaluations lack. */
  readonly missing: readonly { readonly of: 'candidate' | 'champion'; readonly metric: string }[];
}

/** Expressions as decisions need them; CEL is one implementation. */
export interface Expressions {
  /** Whether an expression needs evaluations of a version: its metrics, row count or data set. */
  measures(expression: string, of: 'candidate' | 'champion'): boolean;
  /** Whether it names the champion at all. */
  namesChampion(expression: string): boolean;
  evaluate(expression: string, scope: Scope): Evaluated;
}

export interface Contest {
  readonly alias: string;
  readonly candidate: Contender;
  readonly champion: Contender | undefined;
  /** The gates of the alias, ordered by name. */
  readonly gates: readonly Gate[];
}

export type Judgement = Pick<Decision, 'verdict' | 'code' | 'reason' | 'results'>;

/** Decides whether a version may have an alias: every gate must pass. Gives reasons either way; throws nothing. */
export function judge(contest: Contest, expressions: Expressions): Judgement {
  const { candidate, champion, gates, alias } = contest;
  const plain = (verdict: Verdict, code: ReasonCode, reason: string): Judgement => ({
    verdict,
    code,
    reason,
    results: [],
  });
  if (!candidate.ready) return plain('REFUSED', 'NOT_READY', `version ${candidate.version} is not READY`);
  if (champion?.version === candidate.version)
    return plain('PASSED', 'ALREADY_HOLDER', `version ${candidate.version} holds ${alias} already`);
  if (gates.length === 0) return plain('PASSED', 'NO_GATES', `${alias} has no gates`);
  const results = gates.map((gate) => judgeGate(gate, contest, expressions));
  const decisive = results.find((result) => result.verdict === 'REFUSED') ?? results.at(-1)!;
  return {
    verdict: decisive.verdict,
    code: decisive.code,
    reason: `gate ${decisive.gate}: ${decisive.reason}`,
    results,
  };
}

function judgeGate(gate: Gate, contest: Contest, expressions: Expressions): GateResult {
  const { candidate, champion } = contest;
  const { expression } = gate;
  const quoted = expression.length > 300 ? `${expression.slice(0, 300)}…` : expression;
  const measured = (of: 'candidate' | 'champion') => expressions.measures(expression, of);
  const rival = champion && measured('champion') ? champion : undefined;
  const found = compareOn({
    candidate: candidate.evaluations,
    champion: rival?.evaluations,
    dataset: gate.dataset,
  });
  const answer = (
    verdict: Verdict,
    code: ReasonCode,
    reason: string,
    inputs: readonly GateInput[] = [],
  ): GateResult => {
    return {
      gate: gate.gate,
      expression,
      verdict,
      code,
      reason,
      inputs,
      dataset: found?.candidate.dataset ?? '',
    };
  };
  if (!found && (measured('candidate') || rival))
    return answer('REFUSED', 'NO_EVALUATION', noEvaluation(gate, candidate, rival));

  const { result, inputs, missing } = expressions.evaluate(expression, {
    alias: contest.alias,
    candidate,
    champion,
    sameSignature: !champion || sameSignature(candidate.signature, champion.signature),
    candidateEvaluation: found?.candidate,
    championEvaluation: found?.champion,
  });
  if (result === true) return answer('PASSED', 'CONDITION_MET', `${quoted} holds`, inputs);
  if (result === false)
    return answer('REFUSED', 'CONDITION_NOT_MET', `${quoted} does not hold: ${shown(inputs)}`, inputs);
  const lacking = missing.find((row) => row.of === 'candidate' || champion);
  if (lacking) {
    const which = lacking.of === 'candidate' ? candidate : champion!;
    const on = JSON.stringify(found?.candidate.dataset ?? '');
    const what = `version ${which.version} (${lacking.of}) has no metric ${JSON.stringify(lacking.metric)} on data set ${on}`;
    return answer('REFUSED', 'METRIC_MISSING', what, inputs);
  }
  if (!champion && expressions.namesChampion(expression)) {
    return gate.allowFirst
      ? answer(
          'PASSED',
          'FIRST_ALLOWED',
          `no version holds ${contest.alias}, and the gate allows the first`,
          inputs,
        )
      : answer(
          'REFUSED',
          'NO_CHAMPION',
          `no version holds ${contest.alias}, and ${quoted} needs one`,
          inputs,
        );
  }
  return answer('REFUSED', 'EXPRESSION_FAILED', `${quoted} failed: ${result.error}`, inputs);
}

function noEvaluation(gate: Gate, candidate: Contender, rival: Contender | undefined): string {
  const on = gate.dataset ? `data set ${JSON.stringify(gate.dataset)}` : 'any data set';
  if (!rival) return `version ${candidate.version} was not evaluated on ${on}`;
  const lacking = [candidate, rival].filter(
    ({ evaluations }) => !evaluations.some(({ dataset }) => gate.dataset === '' || dataset === gate.dataset),
  );
  if (lacking.length > 0)
    return `version ${lacking.map(({ version }) => version).join(' and version ')} was not evaluated on ${on}`;
  const same = gate.dataset ? `the same edition of ${on}` : 'a data set in common';
  return `versions ${candidate.version} and ${rival.version} were not evaluated on ${same}`;
}

/** The values as a reason shows them: `candidate.metrics.auc = 0.71, champion.metrics.auc = 0.74`. */
function shown(inputs: readonly GateInput[]): string {
  const list = inputs
    .map(({ path, value }) => `${path} = ${typeof value === 'string' ? JSON.stringify(value) : value}`)
    .join(', ');
  return list.length > 1000 ? `${list.slice(0, 1000)}…` : list;
}
