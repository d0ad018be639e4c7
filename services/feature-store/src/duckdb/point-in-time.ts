import type { FeatureView } from '../domain/definition.ts';
import type { ViewPlan, WindowFeature } from '../domain/plan.ts';
import { hops, levelOf } from '../domain/window.ts';
import type { Engine } from './engine.ts';
import { ident, list } from './quote.ts';

/** A view to be joined. */
export interface JoinView {
  readonly view: FeatureView;
  readonly plan: ViewPlan;
  /** The names of the wanted features. */
  readonly wanted: ReadonlySet<string>;
  /** A SELECT as of `viewRows`. */
  readonly rows: string;
}

/**
 * Joins a view to the table `entity_rows` (with `mr_rid`, `mr_t` in microseconds and the join keys by name) into the table
 * `into` (`rid` and one column a wanted feature). A row counts for an entity row when its event time is not after it.
 * Only one entity row decides about one answer: entity rows are told apart by `rid`, never by their keys.
 */
export async function joinView(engine: Engine, { view, plan, wanted, rows }: JoinView, into: string) {
  const keys = view.joinKeys.map((_, i) => `k${i}`);
  const named = view.joinKeys.map(({ name }, i) => `${ident(name)} AS k${i}`);
  // Keys become one number, and rows of keys that nobody asks for leave at once.
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE wanted_keys AS SELECT row_number() OVER () AS kid, * FROM
     (SELECT DISTINCT ${list(named)} FROM entity_rows)`,
  );
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE probes AS SELECT rid, t, kid FROM
     (SELECT mr_rid AS rid, mr_t AS t, ${list(named)} FROM entity_rows) JOIN wanted_keys USING (${list(keys)})`,
  );
  const windows = plan.windows.filter((w) => wanted.has(w.name));
  const reach = windows.length === plan.windows.length + plan.plain.length ? reachOf(windows) : undefined;
  const since = reach === undefined ? '' : `AND r.t > (SELECT min(t) FROM probes) - ${reach}`;
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE view_rows AS SELECT kid, r.* EXCLUDE (${list(keys)}) FROM (${rows}) r
     JOIN wanted_keys USING (${list(keys)}) WHERE r.t <= (SELECT max(t) FROM probes) ${since}`,
  );
  const parts: string[] = [];
  const columns: string[] = [];
  const plain = view.features.map((f, i) => ({ name: f.name, i })).filter((f) => wanted.has(f.name));
  if (plain.length > 0) {
    await joinNewest(engine, view, plan, plain);
    parts.push('LEFT JOIN newest USING (rid)');
    columns.push(...plain.map((f) => `newest.${ident(f.name)}`));
  }
  const running = windows.filter((w) => w.fn !== 'min' && w.fn !== 'max');
  if (running.length > 0) {
    await joinRunning(engine, plan, running);
    parts.push('LEFT JOIN running USING (rid)');
    columns.push(...running.map((w) => withZero(w, 'running')));
  }
  const bounds = windows.filter((w) => w.fn === 'min' || w.fn === 'max');
  if (bounds.length > 0) {
    await joinBounds(engine, bounds);
    parts.push('LEFT JOIN bounds USING (rid)');
    columns.push(...bounds.map((w) => `bounds.${ident(w.name)}`));
  }
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE ${into} AS SELECT rid, ${list(columns)} FROM (SELECT mr_rid AS rid FROM entity_rows) ${parts.join(' ')}`,
  );
  await engine.run('DROP TABLE view_rows; DROP TABLE probes; DROP TABLE wanted_keys');
}

/** An entity row with a null in its key has no rows, so its counts are 0. */
const withZero = (w: WindowFeature, table: string) =>
  w.fn === 'count'
    ? `coalesce(${table}.${ident(w.name)}, 0) AS ${ident(w.name)}`
    : `${table}.${ident(w.name)}`;

const reachOf = (windows: readonly WindowFeature[]) =>
  Math.max(...windows.map((w) => w.windowUs + hops[levelOf(w.windowUs)]));

/** Plain features: the newest row by ASOF join, ties of event time decided first, age checked afterwards. */
async function joinNewest(
  engine: Engine,
  view: FeatureView,
  plan: ViewPlan,
  wanted: readonly { readonly name: string; readonly i: number }[],
) {
  // A row without a creation is the least of its time; struct order has null as the greatest.
  const fields = ['c := coalesce(c, -9223372036854775807)', ...plan.plain.map((_, i) => `p${i} := p${i}`)];
  const fresh = view.ttlUs === 0 ? 'true' : `r.t >= e.t - ${view.ttlUs}`;
  const columns = wanted.map((f) => `CASE WHEN ${fresh} THEN r.s.p${f.i} END AS ${ident(f.name)}`);
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE newest AS SELECT e.rid, ${list(columns)} FROM probes e ASOF LEFT JOIN
     (SELECT kid, t, max(struct_pack(${list(fields)})) AS s FROM view_rows GROUP BY kid, t) r
     ON e.kid = r.kid AND e.t >= r.t`,
  );
}

/** Counts and sums: running totals by key, looked up at both ends of each window; whole numbers subtract exactly. */
async function joinRunning(engine: Engine, plan: ViewPlan, windows: readonly WindowFeature[]) {
  const used = [...new Set(windows.map((w) => w.measure))].filter((m) => m >= 0);
  const squared = new Set(windows.filter((w) => w.fn === 'stddev').map((w) => w.measure));
  const totals = ['r', ...used.flatMap((m) => [`n${m}`, `s${m}`, ...(squared.has(m) ? [`q${m}`] : [])])];
  const sums = used.flatMap((m) => [
    `count(u${m}) AS n${m}`,
    `coalesce(sum(u${m}), 0)::HUGEINT AS s${m}`,
    ...(squared.has(m) ? [`coalesce(sum(u${m}::HUGEINT * u${m}), 0)::HUGEINT AS q${m}`] : []),
  ]);
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE totals AS SELECT kid, t, ${list(totals.map((c) => `sum(${c}) OVER w AS ${c}`))}
     FROM (SELECT kid, t, ${list(['count(*) AS r', ...sums])} FROM view_rows GROUP BY kid, t)
     WINDOW w AS (PARTITION BY kid ORDER BY t ROWS UNBOUNDED PRECEDING)`,
  );
  const lengths = [...new Set(windows.map((w) => w.windowUs))];
  const starts = lengths.map((w) => `mr_floor(t - ${w}, ${hops[levelOf(w)]})`);
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE looked AS SELECT e.rid, e.slot, ${list(totals.map((c) => `r.${c}`))} FROM
     (SELECT rid, kid, unnest([${list(['t', ...starts])}]) AS t, unnest(range(${lengths.length + 1})) AS slot FROM probes) e
     ASOF JOIN totals r ON e.kid = r.kid AND e.t >= r.t`,
  );
  const at = (c: string, slot: number) => `coalesce(max(${c}) FILTER (slot = ${slot}), 0)::HUGEINT`;
  const within = lengths.flatMap((_, l) => totals.map((c) => `${at(c, 0)} - ${at(c, l + 1)} AS ${c}_${l}`));
  const results = windows.map((w) => {
    const m = w.measure;
    const of = (c: string) => `${c}_${lengths.indexOf(w.windowUs)}`;
    if (w.fn === 'count') return `${of(m < 0 ? 'r' : `n${m}`)}::BIGINT AS ${ident(w.name)}`;
    const sums = [of(`n${m}`), of(`s${m}`), ...(w.fn === 'stddev' ? [of(`q${m}`)] : [])];
    return `mr_${w.fn}(${list(sums)}, ${10 ** plan.measures[m]!.places}::DOUBLE) AS ${ident(w.name)}`;
  });
  await engine.run(
    `CREATE OR REPLACE TEMP TABLE running AS SELECT rid, ${list(results)} FROM
     (SELECT rid, ${list(within)} FROM looked GROUP BY rid)`,
  );
  await engine.run('DROP TABLE totals; DROP TABLE looked');
}

/** Least and greatest values: whole tiles of the window's hop, then the rows of the tile in which it ends. */
async function joinBounds(engine: Engine, windows: readonly WindowFeature[]) {
  await engine.run('CREATE OR REPLACE TEMP TABLE bounds AS SELECT rid FROM probes');
  for (const windowUs of new Set(windows.map((w) => w.windowUs))) {
    const hop = hops[levelOf(windowUs)];
    const group = windows.filter((w) => w.windowUs === windowUs);
    const used = [...new Set(group.map((w) => w.measure))];
    const tiled = used.flatMap((m) => [`min(x${m}) AS l${m}`, `max(x${m}) AS h${m}`]);
    const rows = used.flatMap((m) => [`x${m} AS l${m}`, `x${m} AS h${m}`]);
    const sides = list(used.flatMap((m) => [`l${m}`, `h${m}`]));
    const results = group.map((w) => {
      const side = w.fn === 'min' ? 'l' : 'h';
      return `${w.fn}(${side}${w.measure}) + 0::DOUBLE AS ${ident(w.name)}`;
    });
    await engine.run(
      `CREATE OR REPLACE TEMP TABLE bound AS SELECT rid, ${list(results)} FROM (
         SELECT e.rid, ${sides} FROM
           (SELECT rid, kid, unnest(range(mr_floor(t - ${windowUs}, ${hop}) + ${hop}, mr_floor(t, ${hop}) + 1, ${hop})) AS tile FROM probes) e
           JOIN (SELECT kid, mr_ceil(t, ${hop}) AS tile, ${list(tiled)} FROM view_rows GROUP BY kid, tile) r
           ON e.kid = r.kid AND e.tile = r.tile
         UNION ALL
         SELECT e.rid, ${sides} FROM (SELECT rid, kid, t, mr_floor(t, ${hop}) + ${hop} AS tile FROM probes) e
           JOIN (SELECT kid, t, mr_ceil(t, ${hop}) AS tile, ${list(rows)} FROM view_rows) r
           ON e.kid = r.kid AND e.tile = r.tile AND r.t <= e.t)
       GROUP BY rid`,
    );
    await engine.run(
      'CREATE OR REPLACE TEMP TABLE bounds AS SELECT * FROM bounds LEFT JOIN bound USING (rid)',
    );
    await engine.run('DROP TABLE bound');
  }
}
