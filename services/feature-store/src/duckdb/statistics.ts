import type { ColumnSchema } from '../domain/definition.ts';
import type { Statistics } from '../domain/job.ts';
import type { Engine } from './engine.ts';
import { ident, list } from './quote.ts';

/** Every 40th of the values, in order; every second of them is a quantile of the answer. */
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
  // Squares of greater values do not fit a double, and DuckDB refuses to answer then.
  const summed = 'FILTER (abs(x) < 1e150)';
  const [row = []] = await rows(
    engine,
    `SELECT count(v), count(*) - count(v), approx_count_distinct(v), min(x) ${finite}, max(x) ${finite},
       avg(x) ${summed}, stddev_samp(x) ${summed},
       quantile_disc(x, [${list(edges.map(String))}]) ${finite}
     FROM (SELECT ${name} AS v, ${x} AS x FROM ${table})`,
  );
  const [count, nullCount, distinct, min, max, mean, stddev, found] = row;
  const cuts = numbersOf(found);
  return {
    count: Number(count),
    nullCount: Number(nullCount),
    distinct: Math.min(Number(distinct), Number(count)),
    min: numberOf(min),
    max: numberOf(max),
    mean: numberOf(mean),
    stddev: numberOf(stddev),
    quantiles: cuts.filter((_, i) => i % 2 === 0),
    histogram: await histogram(engine, table, x, [...new Set(cuts)]),
    categories:
      column.type === 'string' || column.type === 'bool' ? await categories(engine, table, name) : [],
  };
}

/** Bins between quantiles, so that each holds about as many values where values differ. */
async function histogram(engine: Engine, table: string, x: string, cuts: readonly number[]) {
  if (cuts.length === 0) return [];
  const bounds = cuts.length === 1 ? [cuts[0]!, cuts[0]!] : cuts;
  // DuckDB's bins hold their upper bound; ours hold their lower one, so each bound moves to the number before it.
  const last = bounds.at(-1)!;
  const upper = [...bounds.slice(1, -1).map(numberBefore), last].map(double);
  const [row = []] = await rows(
    engine,
    `SELECT map_values(histogram(x, [${list(upper)}])) FROM (SELECT ${x} AS x FROM ${table}) WHERE isfinite(x)`,
  );
  const counts = numbersOf(row[0]);
  return bounds.slice(1).map((bound, i) => ({ lower: bounds[i]!, upper: bound, count: counts[i] ?? 0 }));
}

/** The greatest double below a number. */
function numberBefore(value: number): number {
  if (value === 0) return -Number.MIN_VALUE;
  const bits = new BigInt64Array(Float64Array.of(value).buffer);
  bits[0] = bits[0]! + (value > 0 ? -1n : 1n);
  return new Float64Array(bits.buffer)[0]!;
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

/** With an exponent DuckDB reads a literal as a double; without one as a decimal, which loses digits on the way. */
const double = (value: number) => `${value.toExponential()}::DOUBLE`;
const numberOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) ? value : null;
const numbersOf = (value: unknown): readonly number[] => (Array.isArray(value) ? value.map(Number) : []);
