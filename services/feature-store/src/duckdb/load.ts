import type { ColumnType } from '../domain/definition.ts';
import type { Table } from '../domain/table.ts';
import type { Engine } from './engine.ts';
import { ident, list } from './quote.ts';

const stored: Readonly<Record<ColumnType, string>> = {
  bool: 'BOOLEAN',
  int64: 'BIGINT',
  double: 'DOUBLE',
  string: 'VARCHAR',
  timestamp: 'BIGINT',
};

/** Rows that go to the engine in one message. */
const pageRows = 65_536;

/**
 * Loads rows into a view of the given name. Times travel as whole microseconds and become timestamps in the view. All
 * tables must have the columns of the first.
 */
export async function loadTables(engine: Engine, name: string, tables: readonly Table[]): Promise<void> {
  const columns = tables[0]?.columns ?? [];
  const loaded = `${name}_loaded`;
  const declared = columns.map((c) => `${ident(c.name)} ${stored[c.type]}`);
  await engine.run(`CREATE TEMP TABLE ${loaded} (${list(declared)})`);
  const types = columns.map((c) => c.type);
  for (const table of tables)
    for (let from = 0; from < table.rowCount; from += pageRows) {
      const page = columns.map((_, i) => table.columns[i]!.cells.slice(from, from + pageRows));
      await engine.append(loaded, types, page);
    }
  const read = columns.map(({ name: column, type }) =>
    type === 'timestamp' ? `make_timestamp(${ident(column)}) AS ${ident(column)}` : ident(column),
  );
  await engine.run(`CREATE TEMP VIEW ${name} AS SELECT ${list(read)} FROM ${loaded}`);
}
