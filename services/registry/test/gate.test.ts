import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Contender, judge } from '../src/domain/decision.ts';
import type { Evaluation, Metric } from '../src/domain/evaluation.ts';
import type { Gate } from '../src/domain/gate.ts';
import { celExpressions, checkExpression } from '../src/expression/expressions.ts';

const expressions = celExpressions();
const signature = { inputs: [{ name: 'x', type: 11, shape: [-1, 3] }], outputs: [] };

function evaluation(dataset: string, metrics: Record<string, number>, datasetDigest = ''): Evaluation {
  const list: Metric[] = Object.entries(metrics).map(([name, value]) => ({ name, value }));
  return {
    project: 'p',
    model: 'm',
    version: 1,
    dataset,
    datasetDigest,
    metrics: list,
    rowCount: 100,
    sourceRun: '',
  };
}

const contender = (version: number, evaluations: Evaluation[], over: Partial<Contender> = {}): Contender => ({
  version,
  ready: true,
  signature,
  tags: [],
  evaluations,
  ...over,
});

const gate = (expression: string, over: Partial<Gate> = {}): Gate => ({
  project: 'p',
  model: 'm',
  gate: 'better',
  alias: 'champion',
  expression,
  dataset: '',
  allowFirst: false,
  description: '',
  ...over,
});

const decide = (candidate: Contender, champion: Contender | undefined, ...gates: Gate[]) =>
  judge({ alias: 'champion', candidate, champion, gates }, expressions);

const better = 'candidate.metrics.auc > champion.metrics.auc';

describe('a gate that compares metrics', () => {
  const champion = contender(1, [evaluation('june', { auc: 0.7 })]);

  it('passes a better version and shows the numbers', () => {
    const judgement = decide(contender(2, [evaluation('june', { auc: 0.75 })]), champion, gate(better));
    expect(judgement).toMatchObject({ verdict: 'PASSED', code: 'CONDITION_MET' });
    expect(judgement.results[0]).toMatchObject({
      dataset: 'june',
      inputs: [
        { path: 'candidate.metrics.auc', value: 0.75 },
        { path: 'champion.metrics.auc', value: 0.7 },
      ],
    });
  });

  it('refuses a worse one with the numbers in its reason', () => {
    const judgement = decide(contender(2, [evaluation('june', { auc: 0.65 })]), champion, gate(better));
    expect(judgement).toMatchObject({ verdict: 'REFUSED', code: 'CONDITION_NOT_MET' });
    expect(judgement.reason).toContain('candidate.metrics.auc = 0.65, champion.metrics.auc = 0.7');
  });

  it.each<[string, Contender, string, RegExp]>([
    [
      'no evaluation at all',
      contender(2, []),
      'NO_EVALUATION',
      /version 2 was not evaluated on any data set/,
    ],
    [
      'evaluations on different data sets',
      contender(2, [evaluation('may', { auc: 1 })]),
      'NO_EVALUATION',
      /not evaluated on a data set in common/,
    ],
    [
      'editions of different digests',
      contender(2, [evaluation('june', { auc: 1 }, 'sha256:1')]),
      'NO_EVALUATION',
      /in common/,
    ],
    [
      'a metric that is missing',
      contender(2, [evaluation('june', { loss: 1 })]),
      'METRIC_MISSING',
      /version 2 \(candidate\) has no metric "auc" on data set "june"/,
    ],
    ['NaN', contender(2, [evaluation('june', { auc: Number.NaN })]), 'CONDITION_NOT_MET', /NaN/],
    ['a version that is not READY', contender(2, [], { ready: false }), 'NOT_READY', /not READY/],
  ])('refuses %s', (_what, candidate, code, reason) => {
    const judgement = decide(candidate, champion, gate(better));
    expect(judgement).toMatchObject({ verdict: 'REFUSED', code });
    expect(judgement.reason).toMatch(reason);
  });

  it('takes the newest data set in common, and a named one when it names one', () => {
    const candidate = contender(2, [
      evaluation('july', { auc: 0.1 }),
      evaluation('june', { auc: 0.8 }),
      evaluation('may', { auc: 0.2 }),
    ]);
    const rival = contender(1, [evaluation('may', { auc: 0.5 }), evaluation('june', { auc: 0.7 })]);
    expect(decide(candidate, rival, gate(better)).results[0]).toMatchObject({
      verdict: 'PASSED',
      dataset: 'june',
    });
    expect(decide(candidate, rival, gate(better, { dataset: 'may' })).results[0]).toMatchObject({
      verdict: 'REFUSED',
      dataset: 'may',
    });
  });
});

describe('a first promotion', () => {
  const candidate = contender(1, [evaluation('june', { auc: 0.7 })]);

  it('is refused when the expression needs a champion', () => {
    expect(decide(candidate, undefined, gate(better))).toMatchObject({
      verdict: 'REFUSED',
      code: 'NO_CHAMPION',
    });
  });

  it('passes when the gate allows it, but not below what is asked of the candidate alone', () => {
    const allowed = { allowFirst: true };
    expect(decide(candidate, undefined, gate(better, allowed))).toMatchObject({
      verdict: 'PASSED',
      code: 'FIRST_ALLOWED',
    });
    const floor = `candidate.metrics.auc > 0.9 && ${better}`;
    expect(decide(candidate, undefined, gate(floor, allowed))).toMatchObject({ code: 'CONDITION_NOT_MET' });
  });

  it('is up to the expression when that can be decided without a champion', () => {
    expect(decide(candidate, undefined, gate(`!has_champion || ${better}`))).toMatchObject({
      code: 'CONDITION_MET',
    });
    expect(
      decide(candidate, undefined, gate('candidate.metrics["auc"] > 0.6 && same_signature')),
    ).toMatchObject({ verdict: 'PASSED' });
  });
});

describe('several gates', () => {
  it('must all pass; the first that refuses gives the reason', () => {
    const candidate = contender(2, [evaluation('june', { auc: 0.9 })], {
      tags: [{ key: 'reviewed', value: 'no' }],
    });
    const champion = contender(1, [evaluation('june', { auc: 0.7 })]);
    const reviewed = gate('candidate.tags.reviewed == "yes"', { gate: 'reviewed' });
    const judgement = decide(candidate, champion, gate(better), reviewed);
    expect(judgement).toMatchObject({ verdict: 'REFUSED', code: 'CONDITION_NOT_MET' });
    expect(judgement.reason).toMatch(/^gate reviewed: /);
    expect(judgement.results.map((result) => result.verdict)).toEqual(['PASSED', 'REFUSED']);
  });

  it('none of them passes, and so does the holder itself', () => {
    const holder = contender(1, []);
    expect(decide(holder, undefined)).toMatchObject({ verdict: 'PASSED', code: 'NO_GATES' });
    expect(decide(holder, holder, gate(better))).toMatchObject({ verdict: 'PASSED', code: 'ALREADY_HOLDER' });
  });

  it('see signatures and shapes', () => {
    const other = contender(2, [], { signature: { inputs: [], outputs: [] } });
    expect(decide(other, contender(1, []), gate('same_signature'))).toMatchObject({ verdict: 'REFUSED' });
    const shape = 'candidate.inputs.exists(i, i.name == "x" && i.type == "FP32" && i.shape[1] == 3)';
    expect(decide(contender(2, []), undefined, gate(shape))).toMatchObject({ verdict: 'PASSED' });
  });
});

describe('checking an expression', () => {
  it.each([
    better,
    'candidate.metrics["log loss"] < champion.metrics["log loss"] * 1.02',
    'has(candidate.metrics.auc) && candidate.row_count >= 1000',
    'candidate.version > champion.version && candidate.tags.team.matches("^ml-")',
    'candidate.metrics.all(name, candidate.metrics[name] >= 0)',
    '!has_champion || alias == "canary"',
    'candidate.tags.size() > 0 ? true : candidate.dataset == "june"',
  ])('accepts %s', (expression) =>
    expect(() => checkExpression(expression, 'gate.expression')).not.toThrow(),
  );

  it.each<[string, RegExp]>([
    ['', /it is empty/],
    ['candidate.metrics.auc >', /line 1, column \d+/],
    ['candidate.metric.auc > 1', /candidate has no metric;/],
    ['challenger.metrics.auc > 1', /there is no challenger/],
    ['candidate.metrics.auc', /gives a double/],
    ['candidate.metrics.auc > "high"', /no matching overload/],
    ['frobnicate(candidate.metrics.auc)', /unbound function: frobnicate/],
    ['true && candidate.version', /expected bool, got int/],
    ['('.repeat(60), /nested/],
    [`${'!'.repeat(40)}has_champion`, /nested/],
    [
      'candidate.metrics.all(a, candidate.metrics.all(b, candidate.metrics.all(c, true)))',
      /macros are nested 3 deep/,
    ],
  ])('refuses %s', (expression, reason) => {
    expect(() => checkExpression(expression, 'gate.expression')).toThrow(reason);
  });

  it('of any text gives an answer, and what it accepts can be judged', () => {
    const word = fc.constantFrom(
      'candidate',
      'champion',
      '.metrics',
      '.auc',
      '["auc"]',
      '>',
      '<',
      '&&',
      '||',
      '!',
      '(',
      ')',
      '1',
      '0.5',
      'has_champion',
      '.tags',
      '"x"',
      '?',
      ':',
      '+',
      '-',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 60 }),
          fc.array(word, { maxLength: 16 }).map((words) => words.join(' ')),
        ),
        (text) => {
          let refused = false;
          try {
            checkExpression(text, 'gate.expression');
          } catch (caught) {
            expect(caught).toMatchObject({ kind: 'invalid_argument', code: 'INVALID_FIELD' });
            refused = true;
          }
          if (refused) return;
          const judgement = decide(contender(2, [evaluation('d', { auc: 1 })]), undefined, gate(text));
          expect(judgement.reason.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
