import type { Row } from '../src/domain/filter/evaluate.ts';
import type { AttributeName, Condition, Literal } from '../src/domain/filter/syntax.ts';

/** The meaning of a filter, written as plainly as it can be and as slowly as it likes. */
export function naive(condition: Condition, row: Row): boolean {
  if (condition.kind === 'and' || condition.kind === 'or') {
    const answers = condition.terms.map((term) => naive(term, row));
    return condition.kind === 'and' ? !answers.includes(false) : answers.includes(true);
  }
  if (condition.kind === 'not') return !naive(condition.term, row);
  const { scope, key } = condition.operand;
  const value =
    scope === 'metrics'
      ? row.metric(key)
      : scope === 'params'
        ? row.param(key)
        : scope === 'tags'
          ? row.tag(key)
          : row.attribute(key as AttributeName);
  if (condition.kind === 'null') return condition.negated ? value !== undefined : value === undefined;
  if (value === undefined) return false;
  if (condition.kind === 'like') {
    const like = likes(
      [...fold(condition.pattern, condition.ignoreCase)],
      [...fold(String(value), condition.ignoreCase)],
    );
    return condition.negated ? !like : like;
  }
  if (condition.kind === 'in') {
    const found = condition.literals.some((literal) => sign(value, literal) === 0);
    return condition.negated ? !found : found;
  }
  const order = sign(value, condition.literal);
  if (order === 'not a number') return false;
  switch (condition.operator) {
    case '=':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order === -1;
    case '<=':
      return order === -1 || (order === 0 && !Number.isNaN(condition.literal));
    case '>':
      return order === 1;
    case '>=':
      return order === 1 || (order === 0 && !Number.isNaN(condition.literal));
  }
}

function fold(text: string, ignoreCase: boolean): string {
  return ignoreCase ? text.toLowerCase() : text;
}

function sign(value: Literal, literal: Literal): -1 | 0 | 1 | 'unordered' | 'not a number' {
  if (typeof literal === 'string') {
    const text = String(value);
    return text === literal ? 0 : text < literal ? -1 : 1;
  }
  const number = typeof value === 'number' ? value : toNumber(value);
  if (number === undefined) return 'not a number';
  if (Number.isNaN(number) && Number.isNaN(literal)) return 0;
  if (Number.isNaN(number) || Number.isNaN(literal)) return 'unordered';
  return number === literal ? 0 : number < literal ? -1 : 1;
}

function toNumber(text: string): number | undefined {
  const named = /^([+-]?)(nan|inf|infinity)$/i.exec(text);
  if (named?.[2]?.toLowerCase() === 'nan') return named[1] ? undefined : Number.NaN;
  if (named) return named[1] === '-' ? -Infinity : Infinity;
  if (text === '' || /[^0-9+\-.eE]/.test(text)) return undefined;
  return Number.isNaN(Number(text)) ? undefined : Number(text);
}

/** LIKE by its definition, with plain recursion. */
export function likes(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first === '%') return likes(rest, text) || (text.length > 0 && likes(pattern, text.slice(1)));
  if (text.length === 0) return false;
  if (first === '_') return likes(rest, text.slice(1));
  if (first === '\\' && rest.length > 0) return rest[0] === text[0] && likes(rest.slice(1), text.slice(1));
  return first === text[0] && likes(rest, text.slice(1));
}
