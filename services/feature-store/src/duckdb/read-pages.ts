import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ColumnSchema } from '../domain/definition.ts';
import type { Cell } from '../domain/plan.ts';
import type { Table } from '../domain/table.ts';
import type { EngineOptions } from './engine.ts';
import { openInstance } from './instance.ts';
import { ident, list, literal } from './quote.ts';

/**
 * Reads columns of a Parquet file page by page, in the order of its rows. The file is one that this service wrote, so it
 * is read in this process: readers may take their time, and a process for each would take much memory.
 */
export async function* readPages(
  options: EngineOptions,
  file: string,
  columns: readonly ColumnSchema[],
  pageRows: number,
  signal: AbortSignal,
): AsyncGenerator<Table> {
  signal.throwIfAborted();
  const folder = await mkdtemp(join(options.workDir, 'pages-'));
  // One thread reads the row groups one after another.
  const { connection, close } = await openInstance({ ...options, folder, files: [file], threads: 1 });
  const interrupt = () => connection.interrupt();
  signal.addEventListener('abort', interrupt);
  try {
    const wanted = columns.map(({ name, type }) =>
      type === 'timestamp' ? `epoch_us(${ident(name)}) AS ${ident(name)}` : ident(name),
    );
    let held: Cell[][] = columns.map(() => []);
    const take = (rows: number): Table => {
      const page = columns.map((column, i) => ({ ...column, cells: held[i]!.slice(0, rows) }));
      held = held.map((cells) => cells.slice(rows));
      return { rowCount: page[0]?.cells.length ?? 0, columns: page };
    };
    const result = await connection.stream(`SELECT ${list(wanted)} FROM read_parquet(${literal(file)})`);
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
    signal.removeEventListener('abort', interrupt);
    close();
    await rm(folder, { recursive: true, force: true });
  }
}
