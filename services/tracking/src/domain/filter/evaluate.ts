import { createLike } from './like.ts';
import type { AttributeName, ComparisonOperator, Condition, Literal, Operand } from './syntax.ts';

/** What a filter can ask of a run; undefined where the run does not have it. */
export interface Row {
  metric(key: string): number | undefined;
  param(key: string): string | undefined;
  tag(key: string): string | undefined;
  attribute(name: AttributeName): string | number | undefined;
}

export type Predicate = (row: Row) => boolean;

/** Turns a filter into a predicate. A comparison with what a run does not have is false; NOT of it is true. */
export function compileFilter(condition: Condition | undefined): Predicate {
  if (!condition) return () => true;
  switch (condition.kind) {
    case 'and': {
      const terms = condition.terms.map(compileFilter);
      return (row) => terms.every((term) => term(row));
    }
    case 'or': {
      const terms = condition.terms.map(compileFilter);
      return (row) => terms.some((term) => term(row));
    }
    case 'not': {
      const term = compileFilter(condition.term);
      return (row) => !term(row);
    }
    case 'compare': {
      const { operand, operator, literal } = condition;
      return onValue(operand, (value) => compare(value, operator, literal));
    }
    case 'like': {
      const like = createLike(condition.pattern, condition.ignoreCase);
      return onValue(condition.operand, (value) => like(String(value)) !== condition.negated);
    }
    case 'in': {
      const { operand, literals, negated } = condition;
      const isIn = (value: Literal) => literals.some((literal) => compare(value, '=', literal));
      return onValue(operand, (value) => isIn(value) !== negated);
    }
    case 'null': {
      const { operand, negated } = condition;
      return (row) => (operandValue(row, operand) === undefined) !== negated;
    }
  }
}

/** The value of an operand; undefined where the run does not have it. */
export function operandValue(row: Row, operand: Operand): Literal | undefined {
  switch (operand.scope) {
    case 'metrics':
      return row.metric(operand.key);
    case 'params':
      return row.param(operand.key);
    case 'tags':
      return row.tag(operand.key);
    case 'attributes':
      return row.attribute(operand.key);
  }
}

function onValue(operand: Operand, test: (value: Literal) => boolean): Predicate {
  return (row) => {
    const value = operandValue(row, operand);
    return value !== undefined && test(value);
  };
}

/** Compares as numbers where the literal is one (a text that is no number compares false), else as texts. */
function compare(value: Literal, operator: ComparisonOperator, literal: Literal): boolean {
  if (typeof literal === 'string') return ordered(String(value), operator, literal);
  const number = typeof value === 'number' ? value : readNumber(value);
  if (number === undefined) return false;
  // NaN equals NaN here, or it could not be searched for; it is neither less nor greater than anything.
  if (Number.isNaN(number) && Number.isNaN(literal)) return operator === '=';
  return ordered(number, operator, literal);
}

function ordered<T extends string | number>(a: T, operator: ComparisonOperator, b: T): boolean {
  switch (operator) {
    case '=':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
  }
}

const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** A text as a number, the way common languages print one; undefined when it is none. */
function readNumber(text: string): number | undefined {
  if (text.length > 400) return undefined;
  if (decimal.test(text)) return Number(text);
  switch (text.toLowerCase()) {
    case 'nan':
      return Number.NaN;
    case 'inf':
    case '+inf':
    case 'infinity':
    case '+infinity':
      return Infinity;
    case '-inf':
    case '-infinity':
      return -Infinity;
    default:
      return undefined;
  }
}
