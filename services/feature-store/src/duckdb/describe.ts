import { CodedError, invalidField, isCoded } from '@millrace/errors';
import type { ColumnSchema } from '../domain/definition.ts';
import { type Engine, type EngineOptions, withEngine } from './engine.ts';
import { checkSelect, sqlError } from './guard.ts';
import { engineLost } from './processes.ts';
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

/** Views, batches and training sets hold no more. */
const maxColumns = 1024;

function atMost(columns: readonly ColumnSchema[], field: string): readonly ColumnSchema[] {
  if (columns.length <= maxColumns) return columns;
  throw invalidField(field, `it has ${columns.length} columns`, `at most ${maxColumns}`);
}

/** What finding out columns may take: it reads the beginning of a file at most. */
const describeMs = 20_000;
const describeMb = 256;

/** Works with a small engine, for a short time; `refusal` makes the error of what takes more, or breaks it. */
async function withSmallEngine<T>(
  options: EngineOptions,
  source: LocalSource,
  refusal: () => CodedError,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const small = { ...options, memoryMb: Math.min(options.memoryMb, describeMb) };
  const signal = AbortSignal.timeout(describeMs);
  try {
    return await withEngine(small, [source], work, signal);
  } catch (cause) {
    throw signal.aborted || isCoded(cause, engineLost) ? refusal() : cause;
  }
}

/** Reads which columns a file has; INVALID_FIELD `source` when it cannot be read as what it claims to be. */
export async function describeSource(
  options: EngineOptions,
  source: LocalSource,
): Promise<readonly ColumnSchema[]> {
  const refusal = () =>
    invalidField('source', 'the file cannot be read', `a sound file of format ${source.format}`);
  return withSmallEngine(options, source, refusal, async (engine) => {
    try {
      return atMost(await describe(engine, readSource(source)), 'source');
    } catch (cause) {
      throw cause instanceof Error && !(cause instanceof CodedError) ? refusal() : cause;
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
  const refusal = () =>
    invalidField(field, 'takes too long, or too much memory, to be understood', 'a simpler SELECT');
  return withSmallEngine(options, source, refusal, async (engine) => {
    const checked = await checkSelect(engine, sql, field);
    try {
      return atMost(await describe(engine, `(${transformed(source, checked)})`), field);
    } catch (cause) {
      throw sqlError(cause, field);
    }
  });
}
