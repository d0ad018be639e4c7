import type { FeatureView } from '../domain/definition.ts';
import type { ViewPlan } from '../domain/plan.ts';
import { list } from './quote.ts';

/** Which rows of a source a materialization needs. */
export interface BatchRange {
  /** Rows after this are read, of older ones only the newest of each key. */
  readonly unreadUs: number;
  /** Rows up to this are read. */
  readonly endUs: number;
}

/** Makes the table `batch_rows` of a view's rows (as of `viewRows`), in order of keys. */
export function batchRowsSql(view: FeatureView, plan: ViewPlan, rows: string, range: BatchRange): string {
  const keys = view.joinKeys.map((_, i) => `k${i}`);
  const columns = [
    ...view.joinKeys.map(({ type }, i) =>
      type === 'int64' ? `'i' || k${i} AS k${i}` : `'s' || k${i} AS k${i}`,
    ),
    't::DOUBLE AS t',
    'c::DOUBLE AS c',
    ...plan.measures.map((_, i) => `x${i}`),
    ...view.features.map((f, i) => (f.type === 'timestamp' ? `epoch_us(p${i}) AS p${i}` : `p${i}`)),
  ];
  const order = ['t DESC', 'c DESC NULLS LAST', ...plan.plain.map((_, i) => `p${i} DESC NULLS FIRST`)];
  const since = `t > ${literalOf(range.unreadUs)}`;
  // The newest of the rows that are not needed in full is needed all the same: it holds the plain features until the
  // first of the others.
  const newest =
    plan.plain.length > 0
      ? `OR row_number() OVER (PARTITION BY ${list([...keys, since])} ORDER BY ${list(order)}) = 1`
      : '';
  const select = `SELECT * FROM (${rows}) WHERE t <= ${literalOf(range.endUs)}`;
  return newest === ''
    ? `CREATE TEMP TABLE batch_rows AS SELECT ${list(columns)} FROM (${select}) WHERE ${since} ORDER BY ${list(keys)}`
    : `CREATE TEMP TABLE batch_rows AS SELECT ${list(columns)} FROM (${select} QUALIFY ${since} ${newest}) ORDER BY ${list(keys)}`;
}

const literalOf = (us: number) => (us === Number.NEGATIVE_INFINITY ? '-9223372036854775807' : String(us));
