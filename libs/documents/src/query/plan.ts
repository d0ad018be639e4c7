import { CodedError, invalidField } from '@millrace/errors';
import type { AnyCollectionSpec, Comparison, FieldValue, Query } from '../port.ts';
import { endOfKind, keyOf, startOfKind } from './key.ts';
import { formatToken, parseToken } from './token.ts';

/** The largest page that a query may ask for. */
const maxLimit = 10_000;

/** A condition on the index keys of one field. */
export type Condition =
  | { readonly field: string; readonly op: 'in'; readonly keys: readonly string[] }
  | { readonly field: string; readonly op: '>' | '>=' | '<' | '<='; readonly key: string };

/** What an adapter has to do: an index with its bounds, one direction, and where to begin. */
export interface Plan {
  /** The fields of the index that serves the query; empty for the order of ids. */
  readonly index: readonly string[];
  readonly conditions: readonly Condition[];
  /** The fields to order by; the id follows in the same direction. */
  readonly order: readonly string[];
  readonly descending: boolean;
  readonly limit: number;
  /** The keys of `order` and the id after which the page begins. */
  readonly after: readonly string[] | undefined;
  /** Whether nothing can match: a list of no values. */
  readonly empty: boolean;
  /** The token of the page after the one that ends at these keys of `order` and this id. */
  token(keys: readonly string[], id: string): string;
}

/** Finds the declared index that serves a query, or refuses it with QUERY_NOT_INDEXED. */
export function planFind(spec: AnyCollectionSpec, query: Query<string>): Plan {
  const limit = query.limit ?? 100;
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit)
    throw invalidField('page_size', `${limit} is out of range`, `1 to ${maxLimit}`);
  const where = parseWhere(spec, query.where);
  const order = parseOrder(spec, query);
  const index = chooseIndex(spec, where, order.fields, order.byId);
  const remaining = index.slice(where.equal.length);
  const shape = JSON.stringify([spec.name, index, where.conditions, order.descending]);
  const after = query.after ? parseToken(shape, query.after, remaining.length + 1) : undefined;
  return {
    index,
    conditions: after ? withoutPassed(where, order.descending) : where.conditions,
    order: remaining,
    descending: order.descending,
    limit,
    after,
    empty: where.empty,
    token: (keys, id) => formatToken(shape, [...keys, id]),
  };
}

/** The conditions of a count, which also must be served by an index. */
export function planCount(
  spec: AnyCollectionSpec,
  where: Query<string>['where'],
): Pick<Plan, 'conditions' | 'empty' | 'index'> {
  const parsed = parseWhere(spec, where);
  const index = chooseIndex(spec, parsed, parsed.range === undefined ? [] : [parsed.range], false);
  return { index, conditions: parsed.conditions, empty: parsed.empty };
}

interface Where {
  readonly equal: readonly string[];
  readonly range: string | undefined;
  readonly conditions: readonly Condition[];
  readonly empty: boolean;
}

function parseWhere(spec: AnyCollectionSpec, where: Query<string>['where'] = {}): Where {
  const equal: string[] = [];
  const ranges: string[] = [];
  const conditions: Condition[] = [];
  let empty = false;
  // Sorted, so that the order in which a caller names fields does not change the page tokens.
  for (const field of Object.keys(where).sort()) {
    const comparison = where[field];
    if (comparison === undefined) continue;
    declared(spec, field);
    const parts = parseComparison(field, comparison);
    if (parts.length === 0) continue;
    (parts[0]!.op === 'in' ? equal : ranges).push(field);
    if (parts[0]!.op === 'in' && parts[0]!.keys.length === 0) empty = true;
    conditions.push(...parts);
  }
  if (ranges.length > 1) throw notIndexed(spec, `it has ranges over ${ranges.join(' and ')}; one is served`);
  return { equal, range: ranges[0], conditions, empty };
}

function parseComparison(field: string, comparison: Comparison<FieldValue>): Condition[] {
  if (typeof comparison !== 'object' || comparison === null)
    return [{ field, op: 'in', keys: [keyOf(comparison)] }];
  if ('in' in comparison) return [{ field, op: 'in', keys: [...new Set(comparison.in.map(keyOf))].sort() }];
  const parts: Condition[] = [];
  for (const [name, op] of [
    ['gt', '>'],
    ['gte', '>='],
    ['lt', '<'],
    ['lte', '<='],
  ] as const) {
    const value = comparison[name];
    if (value !== undefined) parts.push({ field, op, key: keyOf(value) });
  }
  // A range holds values of its bounds' type only: `lt: 5` does not match null.
  const lower = parts.find((part) => part.op === '>' || part.op === '>=');
  const upper = parts.find((part) => part.op === '<' || part.op === '<=');
  if (lower && !upper && 'key' in lower) parts.push({ field, op: '<', key: endOfKind(lower.key) });
  if (upper && !lower && 'key' in upper) parts.push({ field, op: '>=', key: startOfKind(upper.key) });
  return parts;
}

function parseOrder(spec: AnyCollectionSpec, query: Query<string>) {
  const asked = query.orderBy ?? [];
  const descending = asked[0]?.direction === 'desc';
  const fields: string[] = [];
  for (const [i, { field, direction }] of asked.entries()) {
    if ((direction === 'desc') !== descending) throw notIndexed(spec, 'its directions of ordering differ');
    if (field !== 'id') fields.push(declared(spec, field));
    else if (i !== asked.length - 1) throw notIndexed(spec, 'id is the last thing to order by');
  }
  return { fields, descending, byId: asked.at(-1)?.field === 'id' };
}

/** Equality fields in any order first, then the range or the ordering; the index with the fewest further fields. */
function chooseIndex(spec: AnyCollectionSpec, where: Where, order: readonly string[], byId: boolean) {
  const equal = new Set(where.equal);
  // Ordering by a field with one value is no ordering.
  const ordering = order.filter((field) => !equal.has(field) || isList(where, field));
  let best: readonly string[] | undefined;
  for (const index of [[], ...spec.indexes]) {
    const rest = index.slice(equal.size);
    const serves =
      index.slice(0, equal.size).every((field) => equal.has(field)) &&
      index.length >= equal.size &&
      ordering.every((field, i) => rest[i] === field) &&
      (where.range === undefined || rest[0] === where.range) &&
      (!byId || rest.length === ordering.length);
    if (serves && (best === undefined || index.length < best.length)) best = index;
  }
  if (best) return best;
  const parts = [`equality on [${where.equal.join(', ')}]`];
  if (where.range !== undefined) parts.push(`a range over ${where.range}`);
  if (ordering.length > 0 || byId)
    parts.push(`order by [${[...ordering, ...(byId ? ['id'] : [])].join(', ')}]`);
  throw notIndexed(spec, `it asks for ${parts.join(', ')}`);
}

/**
 * The conditions less the bound at which the range began: a position lies within the range, and an index given both
 * would begin at the bound again on every page.
 */
function withoutPassed(where: Where, descending: boolean): readonly Condition[] {
  const passed = descending ? ['<', '<='] : ['>', '>='];
  return where.conditions.filter(({ field, op }) => field !== where.range || !passed.includes(op));
}

function isList(where: Where, field: string): boolean {
  return where.conditions.some((c) => c.field === field && c.op === 'in' && c.keys.length > 1);
}

function declared(spec: AnyCollectionSpec, field: string): string {
  if (Object.hasOwn(spec.fields, field)) return field;
  throw notIndexed(spec, `${field} is not one of its fields (${Object.keys(spec.fields).join(', ')})`);
}

function notIndexed(spec: AnyCollectionSpec, why: string): CodedError {
  const indexes = spec.indexes.map((index) => `[${index.join(', ')}]`).join(', ') || 'none';
  const message = `no declared index of ${spec.name} serves this query: ${why}; declared indexes: ${indexes}`;
  return new CodedError('internal', 'QUERY_NOT_INDEXED', message);
}
