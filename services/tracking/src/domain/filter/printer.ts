import type { Condition, Literal, Operand, SortKey } from './syntax.ts';

/** Writes a filter so that parsing it gives the same tree. */
export function printFilter(condition: Condition): string {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return condition.terms.map(wrap).join(condition.kind === 'and' ? ' AND ' : ' OR ');
    case 'not':
      return `NOT (${printFilter(condition.term)})`;
    case 'compare':
      return `${printOperand(condition.operand)} ${condition.operator} ${printLiteral(condition.literal)}`;
    case 'like': {
      const word = `${condition.negated ? 'NOT ' : ''}${condition.ignoreCase ? 'ILIKE' : 'LIKE'}`;
      return `${printOperand(condition.operand)} ${word} ${printLiteral(condition.pattern)}`;
    }
    case 'in': {
      const list = condition.literals.map(printLiteral).join(', ');
      return `${printOperand(condition.operand)} ${condition.negated ? 'NOT ' : ''}IN (${list})`;
    }
    case 'null':
      return `${printOperand(condition.operand)} IS ${condition.negated ? 'NOT ' : ''}NULL`;
  }
}

/** Writes sort keys so that parsing them gives the same list. */
export function printOrder(keys: readonly SortKey[]): string {
  return keys.map((key) => `${printOperand(key.operand)}${key.descending ? ' DESC' : ''}`).join(', ');
}

function wrap(term: Condition): string {
  return term.kind === 'and' || term.kind === 'or' ? `(${printFilter(term)})` : printFilter(term);
}

function printOperand({ scope, key }: Operand): string {
  return scope === 'attributes' ? `attributes.${key}` : `${scope}.\`${key.replaceAll('`', '``')}\``;
}

function printLiteral(literal: Literal): string {
  if (typeof literal === 'string') return `'${literal.replaceAll("'", "''")}'`;
  if (Number.isNaN(literal)) return 'nan';
  if (!Number.isFinite(literal)) return literal < 0 ? '-inf' : 'inf';
  return Object.is(literal, -0) ? '-0' : String(literal);
}
