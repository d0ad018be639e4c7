import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ColumnType } from '../domain/definition.ts';
import { type NamedFile, withoutPaths } from './naming.ts';
import type { Processes } from './processes.ts';
import type { Ask, Columns } from './protocol.ts';

export interface EngineOptions {
  /** A folder in which each engine gets a folder of its own, for spilled data and results. */
  readonly workDir: string;
  readonly memoryMb: number;
  readonly diskMb: number;
  readonly threads: number;
  readonly processes: Processes;
}

/**
 * A DuckDB in memory, in a process of its own, locked: it reads the allowed files, writes below its folder, and
 * nothing else. Whatever a query does to it, it does to nobody else. A query that takes more memory than it may, or
 * breaks DuckDB, fails with ENGINE_LOST.
 */
export interface Engine {
  /** Its own folder, removed when it closes. */
  readonly folder: string;
  run(sql: string): Promise<void>;
  /** The columns of a small result, as JavaScript values: BIGINT and HUGEINT are bigints, DOUBLE are numbers. */
  columns(sql: string): Promise<Columns>;
  /** The rows of a result, some at a time; nothing else is asked until it ends. */
  chunks(sql: string): AsyncIterable<Columns>;
  /** Appends rows to a temporary table with columns of these types; times are whole microseconds. */
  append(table: string, types: readonly ColumnType[], rows: Columns): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens an engine that can read these files only. An engine lives for one piece of work, so that one caller's SQL never
 * meets another's data. `signal` kills it: what DuckDB's functions have begun cannot be interrupted.
 */
async function openEngine(
  options: EngineOptions,
  files: readonly NamedFile[],
  signal?: AbortSignal,
): Promise<Engine> {
  signal?.throwIfAborted();
  const { workDir, memoryMb, diskMb, threads, processes } = options;
  const folder = await mkdtemp(join(workDir, 'duckdb-'));
  const process = processes.take();
  const kill = () => void process.kill();
  signal?.addEventListener('abort', kill);
  const ask = async (question: Ask) => {
    signal?.throwIfAborted();
    try {
      return await process.ask(question);
    } catch (caught) {
      throw withoutPaths(caught, files, folder);
    }
  };
  const engine: Engine = {
    folder,
    run: async (sql) => void (await ask({ do: 'run', sql })),
    columns: (sql) => ask({ do: 'columns', sql }),
    async *chunks(sql) {
      await ask({ do: 'stream', sql });
      // The next rows are fetched while these are looked at; when that fails meanwhile, whoever asks for them hears of it.
      const fetch = () => {
        const answer = ask({ do: 'next' });
        answer.catch(() => {});
        return answer;
      };
      let next = fetch();
      try {
        for (;;) {
          const columns = await next;
          if (columns.length === 0) return;
          next = fetch();
          yield columns;
        }
      } finally {
        // Whoever leaves early leaves a question open, and no other may be asked before its answer.
        await next.catch(() => {});
      }
    },
    append: async (table, types, rows) => void (await ask({ do: 'append', table, types, rows })),
    close: async () => {
      signal?.removeEventListener('abort', kill);
      const [[reusable] = []] = await process.ask({ do: 'close' }).catch(() => []);
      if (reusable) processes.giveBack(process);
      else await process.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    const paths = files.map(({ file }) => file);
    await ask({ do: 'open', opening: { folder, files: paths, memoryMb, diskMb, threads } });
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

/** Opens an engine, works with it and closes it, come what may. */
export async function withEngine<T>(
  options: EngineOptions,
  files: readonly NamedFile[],
  work: (engine: Engine) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const engine = await openEngine(options, files, signal);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}
