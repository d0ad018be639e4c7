import { CodedError, invalidField } from '@millrace/errors';
import type { ColumnSchema } from '../domain/definition.ts';
import { type Engine, type EngineOptions, withEngine } from './engine.ts';
import { checkSelect, sqlError } from './guard.ts';
import { type LocalSource, readSource, transformed } from './relation.ts';
import { columnTypeOf } from './types.ts';

/** The columns of a SELECT that have a column type. */
async function describe(engine: Engine, select: string): Promise<readonly ColumnSchema[]> {
  const [names = [], types = []] = await engine.columns(`DESCRIBE ${select}`);
  const columns: ColumnSchema[] = [];
  names.forEach((name, i) => {
    const type = columnTypeOf(String(types[i]));
    if (type && /^[^\p{Cc}]{1,256}$/u.test(String(name))) columns.push({ name: String(name), type });
  });
  return columns;
}

/** Reads which columns a file has; INVALID_FIELD `source` when it cannot be read as what it claims to be. */
export async function describeSource(
  options: EngineOptions,
  source: LocalSource,
): Promise<readonly ColumnSchema[]> {
  return withEngine(options, [source.file], async (engine) => {
    try {
      return await describe(engine, readSource(source));
    } catch (cause) {
      if (cause instanceof CodedError || !(cause instanceof Error)) throw cause;
      throw invalidField('source', 'the file cannot be read', `a sound file of format ${source.format}`);
    }
  });
}

/** Checks a transformation and reads which columns its rows have; INVALID_FIELD names `field`. */
export async function describeRows(
  options: EngineOptions,
  source: LocalSource,
  sql: string,
  field: string,
): Promise<readonly ColumnSchema[]> {
  if (sql.trim() === '') return source.columns;
  return withEngine(options, [source.file], async (engine) => {
    const checked = await checkSelect(engine.connection, sql, field);
    try {
      return await describe(engine, `(${transformed(source, checked)})`);
    } catch (cause) {
      throw sqlError(cause, field);
    }
  });
}
