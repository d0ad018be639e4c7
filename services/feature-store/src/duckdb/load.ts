import { BIGINT, BOOLEAN, DOUBLE, DuckDBDataChunk, type DuckDBType, VARCHAR } from '@duckdb/node-api';
import type { ColumnType } from '../domain/definition.ts';
import type { Table } from '../domain/table.ts';
import type { Engine } from './engine.ts';
import { ident, list } from './quote.ts';

const appended: Readonly<Record<ColumnType, readonly [DuckDBType, string]>> = {
  bool: [BOOLEAN, 'BOOLEAN'],
  int64: [BIGINT, 'BIGINT'],
  double: [DOUBLE, 'DOUBLE'],
  string: [VARCHAR, 'VARCHAR'],
  timestamp: [BIGINT, 'BIGINT'],
};

/** Rows of one vector of DuckDB. */
const vectorRows = 2048;

/**
 * Loads rows into a view of the given name. Times travel as whole microseconds and become timestamps in the view. All
 * tables must have the columns of the first.
 */
export async function loadTables(engine: Engine, name: string, tables: readonly Table[]): Promise<void> {
  const columns = tables[0]?.columns ?? [];
  const stored = `${name}_loaded`;
  const types = columns.map((c) => appended[c.type]);
  const declared = columns.map((c, i) => `${ident(c.name)} ${types[i]![1]}`);
  await engine.run(`CREATE TEMP TABLE ${stored} (${list(declared)})`);
  const appender = await engine.connection.createAppender(stored, undefined, 'temp');
  for (const table of tables) {
    for (let from = 0; from < table.rowCount; from += vectorRows) {
      const count = Math.min(vectorRows, table.rowCount - from);
      const chunk = DuckDBDataChunk.create(
        types.map(([type]) => type),
        count,
      );
      chunk.setColumns(columns.map((_, i) => table.columns[i]!.cells.slice(from, from + count)));
      appender.appendDataChunk(chunk);
    }
  }
  appender.flushSync();
  appender.closeSync();
  const read = columns.map(({ name: column, type }) =>
    type === 'timestamp' ? `make_timestamp(${ident(column)}) AS ${ident(column)}` : ident(column),
  );
  await engine.run(`CREATE TEMP VIEW ${name} AS SELECT ${list(read)} FROM ${stored}`);
}
