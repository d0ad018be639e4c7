import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite';
import { CodedError } from '@millrace/errors';
import { mapFault, type NamedFile } from './faults.ts';

export type Row = Record<string, SQLOutputValue>;

/** One connection with its prepared statements. Errors come out coded. */
export interface Database {
  readonly file: string;
  exec(sql: string): void;
  /** Prepares a statement once and runs it. */
  run(sql: string, ...values: SQLInputValue[]): number;
  all(sql: string, ...values: SQLInputValue[]): Row[];
  one(sql: string, ...values: SQLInputValue[]): Row | undefined;
  /** Reads row after row as long as `take` answers true. */
  each(take: (row: Row) => boolean, sql: string, ...values: SQLInputValue[]): void;
  inTransaction(): boolean;
  close(): void;
}

/** How many prepared statements are kept; queries of different shapes are few. */
const maxStatements = 500;

/** A database that lives and ends with its connection: for simulations, which open thousands. */
export const inMemory = ':memory:';

/** Opens a file, made if need be, for durable writing; `:memory:` is no file and keeps nothing. */
export function openDatabase({ name, file }: NamedFile): Database {
  const guard = <R>(act: () => R): R => {
    try {
      return act();
    } catch (caught) {
      throw mapFault(caught, { name, file });
    }
  };
  if (file !== inMemory) mkdirSync(dirname(file), { recursive: true });
  const db = guard(() => new DatabaseSync(file));
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  const prepare = (sql: string) => {
    let statement = statements.get(sql);
    if (!statement) {
      if (statements.size >= maxStatements) statements.clear();
      statement = db.prepare(sql);
      statements.set(sql, statement);
    }
    return statement;
  };
  try {
    guard(() => db.exec('PRAGMA busy_timeout = 5000'));
    const mode = guard(() => db.prepare('PRAGMA journal_mode = WAL').get());
    if (mode?.journal_mode !== 'wal' && file !== inMemory) {
      const message = `${file} is on a file system without shared memory (a network share?); use a local disk`;
      throw new CodedError('failed_precondition', 'WRONG_STATE', message);
    }
    // Until the writer syncs the log itself, SQLite does at each commit; with NORMAL a power cut loses commits.
    guard(() => db.exec('PRAGMA synchronous = FULL'));
  } catch (caught) {
    db.close();
    throw caught;
  }
  return {
    file,
    exec: (sql) => guard(() => db.exec(sql)),
    run: (sql, ...values) => guard(() => Number(prepare(sql).run(...values).changes)),
    all: (sql, ...values) => guard(() => prepare(sql).all(...values)),
    one: (sql, ...values) => guard(() => prepare(sql).get(...values)),
    each: (take, sql, ...values) =>
      guard(() => {
        for (const row of prepare(sql).iterate(...values)) if (!take(row)) return;
      }),
    inTransaction: () => db.isTransaction,
    close() {
      statements.clear();
      guard(() => db.close());
    },
  };
}
