import type { Scanner } from './scanner.ts';
import { type AttributeName, attributes, type Literal, type Operand, statuses } from './syntax.ts';

/** The words that may stand before the dot, as users of other trackers write them too. */
const scopes: ReadonlyMap<string, Operand['scope']> = new Map([
  ['metrics', 'metrics'],
  ['metric', 'metrics'],
  ['params', 'params'],
  ['param', 'params'],
  ['parameters', 'params'],
  ['parameter', 'params'],
  ['tags', 'tags'],
  ['tag', 'tags'],
  ['attributes', 'attributes'],
  ['attribute', 'attributes'],
  ['attr', 'attributes'],
  ['run', 'attributes'],
]);

const names = Object.keys(attributes) as AttributeName[];

/** Takes what a comparison or a sort key looks at. An attribute may stand without its scope. */
export function parseOperand(scanner: Scanner): Operand {
  const word = scanner.word();
  if (word === undefined) throw scanner.error('metrics., params., tags., an attribute, NOT or (');
  if (!scanner.touches('.')) return attribute(scanner, word);
  const scope = scopes.get(word.toLowerCase());
  if (!scope) throw scanner.error(`metrics., params., tags. or attributes., not ${word}.`);
  scanner.take('.');
  const key = scanner.key();
  return scope === 'attributes' ? attribute(scanner, key) : { scope, key };
}

function attribute(scanner: Scanner, word: string): Operand {
  const key = names.find((name) => name === word.toLowerCase());
  if (!key) throw scanner.error(`an attribute before it (${names.join(', ')}), not ${word}`);
  return { scope: 'attributes', key };
}

/** Takes the value that an operand is compared with, of a type that the operand can have. */
export function parseLiteral(scanner: Scanner, operand: Operand, operator: string): Literal {
  const literal = scanner.quoted() ?? scanner.number() ?? namedNumber(scanner);
  if (operand.scope === 'metrics') {
    if (typeof literal !== 'number') throw scanner.error('a number before it, as metrics are numbers');
    return literal;
  }
  if (operand.scope !== 'attributes') return literal;
  switch (attributes[operand.key]) {
    case 'time':
      return typeof literal === 'number' ? literal : moment(scanner, literal);
    case 'status': {
      const status = statuses.find((name) => name === String(literal).toUpperCase());
      if (!status) throw scanner.error(`one of ${statuses.join(', ')} before it`);
      if (operator !== '=' && operator !== '!=') throw scanner.error('= or != with a status');
      return status;
    }
    case 'text':
      if (typeof literal !== 'string') throw scanner.error('a quoted text before it');
      return literal;
  }
}

/** Refuses LIKE where there is no text. */
export function requireText(scanner: Scanner, operand: Operand): void {
  const isText =
    operand.scope === 'params' ||
    operand.scope === 'tags' ||
    (operand.scope === 'attributes' && attributes[operand.key] === 'text');
  if (!isText) throw scanner.error('LIKE only with params, tags, run_id, run_name and experiment');
}

function namedNumber(scanner: Scanner): number {
  if (scanner.takeWord('NAN')) return Number.NaN;
  if (scanner.takeWord('INF') || scanner.takeWord('INFINITY')) return Infinity;
  throw scanner.error('a number or a quoted text');
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

function moment(scanner: Scanner, text: string): number {
  const ms = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw scanner.error('milliseconds since 1970 or a quoted RFC 3339 time before it');
  return ms;
}
