import type { ColumnSchema, ColumnType, FeatureView, SourceFormat } from '../domain/definition.ts';
import type { ViewPlan } from '../domain/plan.ts';
import { maxTimeUs } from '../domain/time.ts';
import { ident, list, literal } from './quote.ts';
import { sqlTypes } from './types.ts';

/** A source's file as it lies on this machine. */
export interface LocalSource {
  /** The source's full name. */
  readonly name: string;
  readonly file: string;
  readonly format: SourceFormat;
  readonly csvDelimiter: string;
  /** The columns to read; none while they are not known yet. */
  readonly columns: readonly ColumnSchema[];
}

/** A SELECT that reads a source's file with the column types of the platform. */
export function readSource(source: LocalSource): string {
  const { columns } = source;
  const what = columns.length === 0 ? '*' : list(columns.map(({ name, type }) => castColumn(name, type)));
  return `SELECT ${what} FROM ${reader(source)}`;
}

function reader({ file, format, csvDelimiter }: LocalSource): string {
  const path = literal(file);
  switch (format) {
    case 'parquet':
      return `read_parquet(${path})`;
    case 'csv':
      return `read_csv(${path}, header = true, delim = ${literal(csvDelimiter || ',')}, sample_size = 100000)`;
    case 'json_lines':
      return `read_json(${path}, format = 'newline_delimited', sample_size = 100000, maximum_depth = 2)`;
  }
}

/** A column cast to the one SQL type of its column type. */
export function castColumn(name: string, type: ColumnType): string {
  return `CAST(${ident(name)} AS ${sqlTypes[type]}) AS ${ident(name)}`;
}

/** A SELECT of a transformation (already checked and rewritten) over a source; without one the source as it is. */
export function transformed(source: LocalSource, sql: string): string {
  if (sql === '') return readSource(source);
  return `WITH source AS NOT MATERIALIZED (${readSource(source)}), given AS (${sql}\n) SELECT * FROM given`;
}

/**
 * A SELECT of a view's rows in the form both paths work from: `k0…` the key, `t` the event time and `c` the creation in
 * microseconds, `x0…` and `u0…` the measures, `p0…` the plain features. Rows without key or time are left out, values
 * that take no part in windows are null.
 */
export function viewRows(view: FeatureView, plan: ViewPlan, from: string): string {
  const keys = view.joinKeys.map(({ name, type }, i) => `CAST(${ident(name)} AS ${sqlTypes[type]}) AS k${i}`);
  const created = view.createdColumn === '' ? 'NULL::BIGINT' : micros(view.createdColumn);
  const types = new Map(view.columns.map((c) => [c.name, c.type]));
  const measures = plan.measures.flatMap(({ column, places }, i) => {
    const value = number(column);
    const units = `mr_units(${value}, ${10 ** places}::DOUBLE)`;
    return [`${units} AS u${i}`, `CASE WHEN ${units} IS NOT NULL THEN ${value} END AS x${i}`];
  });
  const plain = plan.plain.map((column, i) => `${cell(column, types.get(column))} AS p${i}`);
  const columns = list([
    ...keys,
    `${micros(view.timestampColumn)} AS t`,
    `${created} AS c`,
    ...measures,
    ...plain,
  ]);
  const held = view.joinKeys.map((_, i) => `k${i} IS NOT NULL`).join(' AND ');
  return `SELECT * FROM (SELECT ${columns} FROM (${from})) WHERE ${held} AND t IS NOT NULL`;
}

function cell(column: string, type: ColumnType | undefined): string {
  if (type === 'double') return number(column);
  return type === undefined ? 'NULL' : `CAST(${ident(column)} AS ${sqlTypes[type]})`;
}

/** A column of floating point. Negative zero is zero: the two are equal, so which of them a tie is decided for would be chance. */
function number(column: string): string {
  return `(CAST(${ident(column)} AS DOUBLE) + 0.0::DOUBLE)`;
}

/** A time column in microseconds since 1970; null for infinite times and those that a double does not hold exactly. */
export function micros(column: string): string {
  const time = `CAST(${ident(column)} AS TIMESTAMP)`;
  return `CASE WHEN isfinite(${time}) AND epoch_us(${time}) BETWEEN -${maxTimeUs} AND ${maxTimeUs} THEN epoch_us(${time}) END`;
}
