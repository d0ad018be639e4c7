import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { macros } from './macros.ts';
import { literal } from './quote.ts';

export interface EngineOptions {
  /** A folder in which each engine gets a folder of its own, for spilled data and results. */
  readonly workDir: string;
  readonly memoryMb: number;
  readonly threads: number;
}

/** A DuckDB of its own in memory, locked: it reads the allowed files, writes below its folder, and nothing else. */
export interface Engine {
  /** Its own folder, removed when it closes. */
  readonly folder: string;
  readonly connection: DuckDBConnection;
  run(sql: string): Promise<void>;
  /** The columns of a small result, as JavaScript values: BIGINT and HUGEINT are bigints, DOUBLE are numbers. */
  columns(sql: string): Promise<readonly (readonly unknown[])[]>;
  close(): Promise<void>;
}

/**
 * Opens an engine that can read these files only. An engine lives for one piece of work, so that one caller's SQL never
 * meets another's data. `signal` interrupts what runs.
 */
export async function openEngine(
  options: EngineOptions,
  files: readonly string[],
  signal?: AbortSignal,
): Promise<Engine> {
  const folder = await mkdtemp(join(options.workDir, 'duckdb-'));
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: `${options.memoryMb}MB`,
    temp_directory: join(folder, 'spill'),
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    extension_directory: join(folder, 'extensions'),
  });
  const connection = await instance.connect();
  const interrupt = () => connection.interrupt();
  signal?.addEventListener('abort', interrupt);
  const engine: Engine = {
    folder,
    connection,
    run: async (sql) => {
      signal?.throwIfAborted();
      await connection.run(sql);
    },
    columns: async (sql) => {
      signal?.throwIfAborted();
      return (await connection.runAndReadAll(sql)).getColumnsJS();
    },
    close: async () => {
      signal?.removeEventListener('abort', interrupt);
      connection.closeSync();
      instance.closeSync();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await engine.run("SET TimeZone = 'UTC'");
    for (const macro of macros) await engine.run(macro);
    await engine.run(`SET allowed_paths = [${files.map(literal).join(', ')}]`);
    await engine.run(`SET allowed_directories = [${literal(`${folder}/`)}]`);
    await engine.run('SET enable_external_access = false');
    await engine.run('SET lock_configuration = true');
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
}

/** Opens an engine, works with it and closes it, come what may. */
export async function withEngine<T>(
  options: EngineOptions,
  files: readonly string[],
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
