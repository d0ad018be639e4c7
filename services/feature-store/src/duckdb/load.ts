import type { ColumnSchema, ColumnType } from '../domain/definition.ts';
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
 * Loads rows into a view of the given name and answers how many. Times travel as whole microseconds and become timestamps in
 * the view. The tables, which must have these columns in this order, are taken one after the other.
 */
export async function loadTables(
  engine: Engine,
  name: string,
  columns: readonly ColumnSchema[],
  tables: AsyncIterable<Table> | Iterable<Table>,
): Promise<number> {
  let rows = 0;
  const loaded = `${name}_loaded`;
  const declared = columns.map((c) => `${ident(c.name)} ${stored[c.type]}`);
  await engine.run(`CREATE TEMP TABLE ${loaded} (${list(declared)})`);
  const types = columns.map((c) => c.type);
  for await (const table of tables) {
    rows += table.rowCount;
    for (let from = 0; from < table.rowCount; from += pageRows) {
      const page = columns.map((_, i) => table.columns[i]!.cells.slice(from, from + pageRows));
      await engine.append(loaded, types, page);
    }
  }
  const read = columns.map(({ name: column, type }) =>
    type === 'timestamp' ? `make_timestamp(${ident(column)}) AS ${ident(column)}` : ident(column),
  );
  await engine.run(`CREATE TEMP VIEW ${name} AS SELECT ${list(read)} FROM ${loaded}`);
  return rows;
}
