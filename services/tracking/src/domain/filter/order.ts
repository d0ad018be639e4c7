import { filterLimits } from '../limits.ts';
import { operandValue, type Row } from './evaluate.ts';
import { parseOperand } from './operand.ts';
import { createScanner } from './scanner.ts';
import type { Literal, SortKey } from './syntax.ts';

/** Parses `metrics.auc DESC, start_time`; an empty text is no keys. Errors are INVALID_FIELD with the position. */
export function parseOrder(source: string, field = 'order_by'): SortKey[] {
  const scanner = createScanner(source, field);
  const keys: SortKey[] = [];
  if (scanner.atEnd()) return keys;
  do {
    if (keys.length === filterLimits.sortKeys)
      throw scanner.error(`at most ${filterLimits.sortKeys} sort keys`);
    const operand = parseOperand(scanner);
    const descending = scanner.takeWord('DESC');
    if (!descending) scanner.takeWord('ASC');
    keys.push({ operand, descending });
  } while (scanner.take(','));
  if (!scanner.atEnd()) throw scanner.error('ASC, DESC, a comma or the end');
  return keys;
}

/** Where a run stands in a sorted result: the value of each key, and its id as the last. */
export interface Place {
  readonly values: readonly (Literal | null)[];
  readonly id: string;
}

/** Texts are sorted by their first characters, so that a place fits a page token. */
const sortedChars = 128;

export function placeOf(row: Row, id: string, keys: readonly SortKey[]): Place {
  const values = keys.map(({ operand }) => {
    const value = operandValue(row, operand) ?? null;
    return typeof value === 'string' ? value.slice(0, sortedChars) : value;
  });
  return { values, id };
}

/** Orders places: by each key, NaN and missing values last in both directions, then the newer run (greater id). */
export function comparePlaces(a: Place, b: Place, keys: readonly SortKey[]): number {
  for (const [i, key] of keys.entries()) {
    const order = compareValues(a.values[i] ?? null, b.values[i] ?? null, key.descending);
    if (order !== 0) return order;
  }
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

function compareValues(a: Literal | null, b: Literal | null, descending: boolean): number {
  const rank = absence(a) - absence(b);
  if (rank !== 0 || absence(a) > 0 || a === null || b === null) return rank;
  if (a === b) return 0;
  return a < b !== descending ? -1 : 1;
}

function absence(value: Literal | null): number {
  if (value === null) return 2;
  return Number.isNaN(value) ? 1 : 0;
}
