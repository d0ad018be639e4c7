import { isCelError } from '@bufbuild/cel';
import { invalidField } from '@millrace/errors';
import type { Contender, Evaluated, Expressions, GateInput, Scope } from '../domain/decision.ts';
import type { Evaluation } from '../domain/evaluation.ts';
import { bindingsOf, contenderFields, measuredFields } from './bindings.ts';
import { type Compiled, compile } from './compile.ts';
import type { References, Side } from './references.ts';

/** What people may use, told when they used something else. */
const vocabulary =
  'candidate and champion (version, metrics, tags, row_count, dataset, inputs, outputs), has_champion, same_signature and alias';

/**
 * Checks an expression as far as that can be done without values: that it can be read, names only what there is, and gives true or
 * false for values of the right types. INVALID_FIELD naming `field`, with what is wrong and what is allowed.
 */
export function checkExpression(expression: string, field: string): void {
  const refuse = (wrong: string, allowed = `CEL over ${vocabulary}`) => invalidField(field, wrong, allowed);
  if (expression.trim() === '') throw refuse('it is empty');
  const compiled = compile(expression);
  if ('error' in compiled) throw refuse(compiled.error);
  const { references } = compiled;
  if (references.unknown.length > 0) throw refuse(`there is no ${references.unknown.join(', ')}`);
  for (const side of ['candidate', 'champion'] as const) {
    const strange = [...references.fields[side]].filter(
      (name) => !contenderFields.some((known) => known === name),
    );
    if (strange.length > 0) throw refuse(`${side} has no ${strange.join(', ')}`);
  }
  const result = compiled.run(bindingsOf(sampleScope(references)));
  if (typeof result === 'boolean') return;
  if (!isCelError(result))
    throw refuse(`it gives ${celTypeName(result)}`, 'an expression that gives true or false');
  // Other errors depend on the values: a division by zero, a text that is no number.
  if (/overload|unbound function|unresolved|type mismatch/.test(result.message)) throw refuse(result.message);
}

/** CEL expressions, compiled once each. */
export function celExpressions(): Expressions {
  const cache = new Map<string, Compiled | { readonly error: string }>();
  const maxCached = 1000;

  function compiled(expression: string): Compiled | { readonly error: string } {
    let found = cache.get(expression);
    if (!found) {
      if (cache.size >= maxCached) cache.clear();
      found = compile(expression);
      cache.set(expression, found);
    }
    return found;
  }

  return {
    measures: (expression, of) => {
      const found = compiled(expression);
      if ('error' in found) return false;
      const { fields, whole } = found.references;
      return whole[of] || measuredFields.some((name) => fields[of].has(name));
    },
    namesChampion: (expression) => {
      const found = compiled(expression);
      return !('error' in found) && namesSide(found.references, 'champion');
    },
    evaluate: (expression, scope): Evaluated => {
      const found = compiled(expression);
      if ('error' in found) return { result: found, inputs: [], missing: [] };
      const { references } = found;
      const result = found.run(bindingsOf(scope));
      return {
        result:
          typeof result === 'boolean'
            ? result
            : { error: isCelError(result) ? result.message : 'it gives no truth value' },
        inputs: inputsOf(references, scope),
        missing: references.entries
          .filter(({ field, tested }) => field === 'metrics' && !tested)
          .filter(({ side, key }) => metric(evaluationOf(scope, side), key) === undefined)
          .map(({ side, key }) => ({ of: side, metric: key })),
      };
    },
  };
}

function namesSide({ fields, whole, variables }: References, side: Side): boolean {
  return whole[side] || fields[side].size > 0 || variables.has(side);
}

function evaluationOf(scope: Scope, side: Side): Evaluation | undefined {
  return side === 'candidate' ? scope.candidateEvaluation : scope.championEvaluation;
}

function metric(evaluation: Evaluation | undefined, name: string): number | undefined {
  return evaluation?.metrics.find((row) => row.name === name)?.value;
}

/** How many values, and how much of a text, a decision keeps: it goes into an event. */
const maxInputs = 40;
const maxText = 256;

function clip(value: GateInput['value']): GateInput['value'] {
  return typeof value === 'string' ? value.slice(0, maxText) : value;
}

/** The values of what an expression names, as a decision keeps them. */
function inputsOf(references: References, scope: Scope): GateInput[] {
  const inputs = new Map<string, GateInput['value']>();
  for (const { side, field, key } of references.entries) {
    const who = side === 'candidate' ? scope.candidate : scope.champion;
    const value =
      field === 'metrics'
        ? metric(evaluationOf(scope, side), key)
        : who?.tags.find((tag) => tag.key === key)?.value;
    const place = /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    if (value !== undefined) inputs.set(`${side}.${field}${place}`, value);
  }
  for (const side of ['candidate', 'champion'] as const) {
    const who = side === 'candidate' ? scope.candidate : scope.champion;
    const { fields } = references;
    if (who && fields[side].has('version')) inputs.set(`${side}.version`, who.version);
    const evaluation = evaluationOf(scope, side);
    if (evaluation && fields[side].has('row_count')) inputs.set(`${side}.row_count`, evaluation.rowCount);
    if (evaluation && fields[side].has('dataset')) inputs.set(`${side}.dataset`, evaluation.dataset);
  }
  if (references.variables.has('has_champion')) inputs.set('has_champion', scope.champion !== undefined);
  if (references.variables.has('same_signature')) inputs.set('same_signature', scope.sameSignature);
  if (references.variables.has('alias')) inputs.set('alias', scope.alias);
  return [...inputs].slice(0, maxInputs).map(([path, value]) => ({ path, value: clip(value) }));
}

/** Two versions that have whatever an expression names, to see whether it gives a truth value. */
function sampleScope(references: References): Scope {
  const sample = (side: Side, version: number, value: number): readonly [Contender, Evaluation] => {
    const keys = (field: string) =>
      references.entries
        .filter((entry) => entry.side === side && entry.field === field)
        .map(({ key }) => key);
    const evaluation: Evaluation = {
      project: '',
      model: '',
      version,
      dataset: 'sample',
      datasetDigest: '',
      rowCount: 1000,
      sourceRun: '',
      metrics: keys('metrics').map((name) => ({ name, value })),
    };
    const tags = keys('tags').map((key) => ({ key, value: 'text' }));
    return [{ version, ready: true, signature: null, tags, evaluations: [evaluation] }, evaluation];
  };
  const [candidate, candidateEvaluation] = sample('candidate', 2, 0.5);
  const [champion, championEvaluation] = sample('champion', 1, 0.25);
  return {
    alias: 'champion',
    candidate,
    champion,
    sameSignature: true,
    candidateEvaluation,
    championEvaluation,
  };
}

function celTypeName(value: unknown): string {
  if (typeof value === 'number') return 'a double';
  if (typeof value === 'bigint') return 'an int';
  return typeof value === 'string' ? 'a string' : 'no truth value';
}
