/**
 * DuckDB in a process of its own, one instance after the other: a query that takes all memory, never ends or breaks
 * DuckDB takes this process with it and nothing else. DuckDB's own limit counts its tables and not the values that
 * functions build, and a function that has begun cannot be interrupted. Started by `processes.ts`; ends with its parent.
 */
import {
  BIGINT,
  BOOLEAN,
  DOUBLE,
  DuckDBDataChunk,
  type DuckDBResult,
  type DuckDBType,
  VARCHAR,
} from '@duckdb/node-api';
import type { ColumnType } from '../domain/definition.ts';
import { type Instance, openInstance } from './instance.ts';
import type { Answer, Ask, Columns } from './protocol.ts';

/** What Node, DuckDB's code and the values of a few vectors take beside the memory that DuckDB counts. */
const besidesMb = 512;
/** A process that still takes more than this when its instance is closed is not used again. */
const emptyMb = 384;

let instance: Instance | undefined;
let streamed: DuckDBResult | undefined;
let mostMb = Number.POSITIVE_INFINITY;

const residentMb = () => process.memoryUsage.rss() / 2 ** 20;

// DuckDB works on other threads, so this one always comes to look.
setInterval(() => {
  if (residentMb() < mostMb) return;
  const refusal: Answer = { error: 'Out of Memory Error: the values of the query' };
  process.send?.(refusal, () => process.kill(process.pid, 'SIGKILL'));
}, 20).unref();

// DuckDB's threads may be in the middle of something that they cannot leave.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

process.on('message', (ask: Ask) => {
  handle(ask).then(
    (columns) => answer({ columns }),
    (error: unknown) => answer({ error: error instanceof Error ? error.message : String(error) }),
  );
});

function answer(given: Answer): void {
  process.send?.(given);
}

async function handle(ask: Ask): Promise<Columns> {
  if (ask.do === 'open') {
    mostMb = ask.opening.memoryMb + besidesMb;
    instance = await openInstance(ask.opening);
    return [];
  }
  if (!instance) throw new Error('not open');
  const { connection } = instance;
  switch (ask.do) {
    case 'run':
      await connection.run(ask.sql);
      return [];
    case 'columns':
      return (await connection.runAndReadAll(ask.sql)).getColumnsJS();
    case 'stream':
      streamed = await connection.stream(ask.sql);
      return [];
    case 'next': {
      const chunk = await streamed?.fetchChunk();
      return chunk && chunk.rowCount > 0 ? (chunk.getColumns() as Columns) : [];
    }
    case 'append':
      await append(ask.table, ask.types, ask.rows);
      return [];
    case 'close':
      streamed = undefined;
      instance.close();
      instance = undefined;
      return [[residentMb() < emptyMb]];
  }
}

const appended: Readonly<Record<ColumnType, DuckDBType>> = {
  bool: BOOLEAN,
  int64: BIGINT,
  double: DOUBLE,
  string: VARCHAR,
  timestamp: BIGINT,
};

/** Rows of one vector of DuckDB. */
const vectorRows = 2048;

async function append(table: string, columns: readonly ColumnType[], rows: Columns): Promise<void> {
  const appender = await instance!.connection.createAppender(table, undefined, 'temp');
  const types = columns.map((type) => appended[type]);
  const rowCount = rows[0]?.length ?? 0;
  for (let from = 0; from < rowCount; from += vectorRows) {
    const count = Math.min(vectorRows, rowCount - from);
    const chunk = DuckDBDataChunk.create(types, count);
    chunk.setColumns(rows.map((cells) => cells.slice(from, from + count)) as never);
    appender.appendDataChunk(chunk);
  }
  appender.flushSync();
  appender.closeSync();
}
