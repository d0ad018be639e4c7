import type { AnyCollectionSpec, Page, Query, Versioned } from '../port.ts';
import { type Condition, planCount, planFind } from '../query/plan.ts';
import type { Database, Row } from './database.ts';
import { columnOf, indexOf, tableOf } from './layout.ts';

/** One page of documents, by the index that the plan names. */
export function findRows<T>(
  db: Database,
  spec: AnyCollectionSpec,
  query: Query<string>,
  toVersioned: (row: Row) => Versioned<T>,
): Page<T> {
  const plan = planFind(spec, query);
  if (plan.empty) return { items: [] };
  const { terms, values } = toSql(plan.conditions);
  const ordering = [...plan.order.map(columnOf), 'id'];
  if (plan.after) {
    const slots = plan.after.map(() => '?').join(', ');
    terms.push(`(${ordering.join(', ')}) ${plan.descending ? '<' : '>'} (${slots})`);
    values.push(...plan.after);
  }
  const direction = plan.descending ? 'DESC' : 'ASC';
  const columns = ['version', 'created', 'updated', 'doc', 'bytes', ...ordering].join(', ');
  const rows = db.all(
    `SELECT ${columns} FROM ${source(spec, plan.index)}${whereOf(terms)}
     ORDER BY ${ordering.map((column) => `${column} ${direction}`).join(', ')} LIMIT ?`,
    ...values,
    plan.limit + 1,
  );
  const items = rows.slice(0, plan.limit).map(toVersioned);
  const last = rows[plan.limit - 1];
  if (rows.length <= plan.limit || !last) return { items };
  const keys = plan.order.map((field) => last[`f_${field}`] as string);
  return { items, next: plan.token(keys, last.id as string) };
}

/** How many documents match. */
export function countRows(db: Database, spec: AnyCollectionSpec, where: Query<string>['where']): number {
  const plan = planCount(spec, where);
  if (plan.empty) return 0;
  const { terms, values } = toSql(plan.conditions);
  return db.one(`SELECT count(*) AS n FROM ${source(spec, plan.index)}${whereOf(terms)}`, ...values)
    ?.n as number;
}

function source(spec: AnyCollectionSpec, index: readonly string[]): string {
  const table = tableOf(spec);
  return index.length === 0 ? table : `${table} INDEXED BY ${indexOf(spec, index)}`;
}

function whereOf(terms: readonly string[]): string {
  return terms.length === 0 ? '' : ` WHERE ${terms.join(' AND ')}`;
}

function toSql(conditions: readonly Condition[]): { terms: string[]; values: string[] } {
  const terms: string[] = [];
  const values: string[] = [];
  for (const condition of conditions) {
    const column = columnOf(condition.field);
    if (condition.op !== 'in') {
      terms.push(`${column} ${condition.op} ?`);
      values.push(condition.key);
      continue;
    }
    const slots = condition.keys.map(() => '?').join(', ');
    terms.push(condition.keys.length === 1 ? `${column} = ?` : `${column} IN (${slots})`);
    values.push(...condition.keys);
  }
  return { terms, values };
}
