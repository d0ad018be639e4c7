import type { ColumnSchema } from '../domain/definition.ts';
import type { Statistics } from '../domain/job.ts';
import type { Engine } from './engine.ts';
import { ident, list } from './quote.ts';

const steps = Array.from({ length: 21 }, (_, i) => i / 20);
const edges = Array.from({ length: 41 }, (_, i) => i / 40);
const mostCategories = 50;

/** What the values of a column of a table are like. Infinities and NaN count as values, but not in the numbers. */
export async function statisticsOf(engine: Engine, table: string, column: ColumnSchema): Promise<Statistics> {
  const name = ident(column.name);
  const numeric = column.type !== 'string';
  const x =
    column.type === 'timestamp'
      ? `epoch_us(${name})::DOUBLE`
      : numeric
        ? `CAST(${name} AS DOUBLE)`
        : 'NULL::DOUBLE';
  const finite = `FILTER (isfinite(x))`;
  const [row = []] = await rows(
    engine,
    `SELECT count(v), count(*) - count(v), approx_count_distinct(v), min(x) ${finite}, max(x) ${finite},
       avg(x) ${finite}, CASE WHEN count(x) ${finite} > 1 THEN stddev_samp(x) ${finite} END,
       quantile_cont(x, [${list(steps.map(String))}]) ${finite}, quantile_disc(x, [${list(edges.map(String))}]) ${finite}
     FROM (SELECT ${name} AS v, ${x} AS x FROM ${table})`,
  );
  const [count, nullCount, distinct, min, max, mean, stddev, quantiles, cuts] = row;
  return {
    count: Number(count),
    nullCount: Number(nullCount),
    distinct: Math.min(Number(distinct), Number(count)),
    min: numberOf(min),
    max: numberOf(max),
    mean: numberOf(mean),
    stddev: numberOf(stddev),
    quantiles: numbersOf(quantiles),
    histogram: await histogram(engine, table, x, [...new Set(numbersOf(cuts))]),
    categories:
      column.type === 'string' || column.type === 'bool' ? await categories(engine, table, name) : [],
  };
}

/** Bins between quantiles, so that each holds about as many values where values differ. */
async function histogram(engine: Engine, table: string, x: string, cuts: readonly number[]) {
  if (cuts.length === 0) return [];
  const bounds = cuts.length === 1 ? [cuts[0]!, cuts[0]!] : cuts;
  const below = bounds.slice(1, -1).map((cut) => `count(*) FILTER (x < ${double(cut)})`);
  const [row = []] = await rows(
    engine,
    `SELECT ${list([...below, 'count(*)'])} FROM (SELECT ${x} AS x FROM ${table}) WHERE isfinite(x)`,
  );
  const totals = row.map(Number);
  return totals.map((total, i) => ({
    lower: bounds[i]!,
    upper: bounds[i + 1]!,
    count: total - (totals[i - 1] ?? 0),
  }));
}

async function categories(engine: Engine, table: string, name: string) {
  const found = await rows(
    engine,
    `SELECT CAST(${name} AS VARCHAR) AS v, count(*) AS n FROM ${table} WHERE ${name} IS NOT NULL
     GROUP BY v ORDER BY n DESC, v LIMIT ${mostCategories}`,
  );
  return found.map(([value, count]) => ({ value: String(value), count: Number(count) }));
}

async function rows(engine: Engine, sql: string): Promise<readonly (readonly unknown[])[]> {
  const columns = await engine.columns(sql);
  return (columns[0] ?? []).map((_, i) => columns.map((column) => column[i]));
}

const double = (value: number) => `${value}::DOUBLE`;
const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;
const numbersOf = (value: unknown): readonly number[] => (Array.isArray(value) ? value.map(Number) : []);
