import type { Collection, Filter } from 'mongodb';
import type { AnyCollectionSpec, Page, Query } from '../port.ts';
import { type Condition, planCount, planFind } from '../query/plan.ts';
import { guard } from './faults.ts';
import { type Stored, toVersioned, withoutLists } from './stored.ts';

const operators = { '>': '$gt', '>=': '$gte', '<': '$lt', '<=': '$lte' } as const;

/** One page of documents. */
export async function findDocuments<T>(
  documents: Collection<Stored>,
  spec: AnyCollectionSpec,
  query: Query<string>,
): Promise<Page<T>> {
  const plan = planFind(spec, query);
  if (plan.empty) return { items: [] };
  const direction = plan.descending ? -1 : 1;
  const ordering = [...plan.order.map((field) => `f.${field}`), '_id'];
  const terms = toFilter(plan.conditions);
  if (plan.after) terms.push(...afterPosition(ordering, plan.after, plan.descending));
  const found = await guard(() =>
    documents
      .find({ $and: terms }, { projection: withoutLists })
      .sort(Object.fromEntries(ordering.map((key) => [key, direction])))
      .limit(plan.limit + 1)
      .toArray(),
  );
  const items = found.slice(0, plan.limit).map((stored) => toVersioned<T>(stored));
  const last = found[plan.limit - 1];
  if (found.length <= plan.limit || !last) return { items };
  return {
    items,
    next: plan.token(
      plan.order.map((field) => last.f[field] ?? ''),
      last._id,
    ),
  };
}

/** How many documents match. */
export async function countDocuments(
  documents: Collection<Stored>,
  spec: AnyCollectionSpec,
  where: Query<string>['where'],
): Promise<number> {
  const plan = planCount(spec, where);
  return plan.empty ? 0 : guard(() => documents.countDocuments({ $and: toFilter(plan.conditions) }));
}

function toFilter(conditions: readonly Condition[]): Filter<Stored>[] {
  const terms: Filter<Stored>[] = conditions.map((condition) => {
    const key = `f.${condition.field}`;
    if (condition.op !== 'in') return { [key]: { [operators[condition.op]]: condition.key } };
    return { [key]: condition.keys.length === 1 ? condition.keys[0] : { $in: condition.keys } };
  });
  // Matches where it is absent: all but removed documents whose events still wait.
  return [...terms, { gone: null as never }];
}

/** (a, b, id) after (A, B, I), written out; the bound on `a` alone is what an index can begin at. */
function afterPosition(ordering: readonly string[], after: readonly string[], descending: boolean) {
  const beyond = descending ? '$lt' : '$gt';
  const alternatives = ordering.map((key, i) => ({
    ...Object.fromEntries(ordering.slice(0, i).map((equal, j) => [equal, after[j]])),
    [key]: { [beyond]: after[i] },
  }));
  return [{ [ordering[0]!]: { [`${beyond}e`]: after[0] } }, { $or: alternatives }] as Filter<Stored>[];
}
