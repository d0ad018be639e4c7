import type { ColumnSchema } from '../domain/definition.ts';
import type { Cell } from '../domain/plan.ts';
import type { Table } from '../domain/table.ts';
import { type EngineOptions, openEngine } from './engine.ts';
import { ident, list, literal } from './quote.ts';

/** Reads columns of a Parquet file page by page, in the order of its rows. */
export async function* readPages(
  options: EngineOptions,
  file: string,
  columns: readonly ColumnSchema[],
  pageRows: number,
  signal: AbortSignal,
): AsyncGenerator<Table> {
  // One thread reads the row groups one after another.
  const engine = await openEngine({ ...options, threads: 1 }, [file], signal);
  try {
    const wanted = columns.map(({ name, type }) =>
      type === 'timestamp' ? `epoch_us(${ident(name)}) AS ${ident(name)}` : ident(name),
    );
    const result = await engine.connection.stream(
      `SELECT ${list(wanted)} FROM read_parquet(${literal(file)})`,
    );
    let held: Cell[][] = columns.map(() => []);
    const take = (rows: number): Table => {
      const page = columns.map((column, i) => ({ ...column, cells: held[i]!.slice(0, rows) }));
      held = held.map((cells) => cells.slice(rows));
      return { rowCount: page[0]?.cells.length ?? 0, columns: page };
    };
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) break;
      chunk.getColumns().forEach((cells, i) => {
        for (const cell of cells) held[i]!.push(cell as Cell);
      });
      while (held[0]!.length >= pageRows) yield take(pageRows);
    }
    if (held[0]!.length > 0) yield take(held[0]!.length);
  } finally {
    await engine.close();
  }
}
