import { filterLimits } from '../limits.ts';
import { parseLiteral, parseOperand, requireText } from './operand.ts';
import { createScanner, type Scanner } from './scanner.ts';
import { type Condition, comparisonOperators, type Operand } from './syntax.ts';

/** Where a parse stands, and what it spent of its limits. */
interface State {
  readonly scanner: Scanner;
  depth: number;
  comparisons: number;
}

/**
 * Parses a filter; undefined when it is empty. Errors are INVALID_FIELD with the position. Work and nesting are
 * bounded, so that no text can exhaust the stack or the clock.
 *
 *     or         := and (OR and)*
 *     and        := unary (AND unary)*
 *     unary      := NOT unary | '(' or ')' | comparison
 *     comparison := operand (('='|'!='|'<'|'<='|'>'|'>=') literal | [NOT] (LIKE|ILIKE) text
 *                   | [NOT] IN '(' literal (',' literal)* ')' | IS [NOT] NULL)
 */
export function parseFilter(source: string, field = 'filter'): Condition | undefined {
  const scanner = createScanner(source, field);
  if (scanner.atEnd()) return undefined;
  const condition = parseOr({ scanner, depth: 0, comparisons: 0 });
  if (!scanner.atEnd()) throw scanner.error('AND, OR or the end');
  return condition;
}

function parseOr(state: State): Condition {
  return parseList(state, 'or', 'OR', () => parseList(state, 'and', 'AND', () => parseUnary(state)));
}

function parseList(
  { scanner }: State,
  kind: 'and' | 'or',
  word: string,
  parseTerm: () => Condition,
): Condition {
  const first = parseTerm();
  const terms = [first];
  while (scanner.takeWord(word)) terms.push(parseTerm());
  return terms.length === 1 ? first : { kind, terms };
}

function parseUnary(state: State): Condition {
  const { scanner } = state;
  if (scanner.takeWord('NOT')) return nested(state, () => ({ kind: 'not', term: parseUnary(state) }));
  if (!scanner.take('(')) return parseComparison(state);
  return nested(state, () => {
    const inner = parseOr(state);
    if (!scanner.take(')')) throw scanner.error('AND, OR or )');
    return inner;
  });
}

function nested(state: State, parse: () => Condition): Condition {
  state.depth += 1;
  if (state.depth > filterLimits.depth)
    throw state.scanner.error(`at most ${filterLimits.depth} nested parentheses and NOTs`);
  const condition = parse();
  state.depth -= 1;
  return condition;
}

function parseComparison(state: State): Condition {
  const { scanner } = state;
  state.comparisons += 1;
  if (state.comparisons > filterLimits.comparisons)
    throw scanner.error(`at most ${filterLimits.comparisons} comparisons`);
  const operand = parseOperand(scanner);
  const operator = comparisonOperators.find((candidate) => scanner.take(candidate));
  if (operator)
    return { kind: 'compare', operand, operator, literal: parseLiteral(scanner, operand, operator) };
  if (scanner.takeWord('IS')) {
    const negated = scanner.takeWord('NOT');
    if (!scanner.takeWord('NULL')) throw scanner.error('NULL');
    return { kind: 'null', operand, negated };
  }
  const negated = scanner.takeWord('NOT');
  if (scanner.takeWord('IN'))
    return { kind: 'in', operand, literals: parseLiterals(scanner, operand), negated };
  if (scanner.takeWord('LIKE')) return parseLike(scanner, operand, false, negated);
  if (scanner.takeWord('ILIKE')) return parseLike(scanner, operand, true, negated);
  throw scanner.error(
    negated ? 'IN, LIKE or ILIKE' : `${comparisonOperators.join(', ')}, IN, LIKE, ILIKE, IS NULL or NOT`,
  );
}

function parseLiterals(scanner: Scanner, operand: Operand) {
  if (!scanner.take('(')) throw scanner.error('(');
  const literals = [];
  do {
    if (literals.length === filterLimits.listItems)
      throw scanner.error(`at most ${filterLimits.listItems} values`);
    literals.push(parseLiteral(scanner, operand, '='));
  } while (scanner.take(','));
  if (!scanner.take(')')) throw scanner.error(', or )');
  return literals;
}

function parseLike(scanner: Scanner, operand: Operand, ignoreCase: boolean, negated: boolean): Condition {
  requireText(scanner, operand);
  const pattern = scanner.quoted();
  if (pattern === undefined) throw scanner.error('a quoted pattern');
  if (pattern.length > filterLimits.patternChars)
    throw scanner.error(`a pattern of at most ${filterLimits.patternChars} characters`);
  return { kind: 'like', operand, pattern, ignoreCase, negated };
}
