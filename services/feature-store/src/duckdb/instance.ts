import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { macros } from './macros.ts';
import { list, literal } from './quote.ts';

/** How a DuckDB is opened. */
export interface Opening {
  /** Its own folder: it may read and write below it. */
  readonly folder: string;
  /** The other files that it may read. */
  readonly files: readonly string[];
  readonly memoryMb: number;
  /** The most that it may spill to disk. */
  readonly diskMb: number;
  readonly threads: number;
}

/** A DuckDB in memory, locked: it reads the allowed files, writes below its folder, and nothing else. */
export interface Instance {
  readonly connection: DuckDBConnection;
  close(): void;
}

export async function openInstance(opening: Opening): Promise<Instance> {
  const { folder, files } = opening;
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(opening.threads),
    memory_limit: `${opening.memoryMb}MB`,
    temp_directory: join(folder, 'spill'),
    max_temp_directory_size: `${opening.diskMb}MB`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    extension_directory: join(folder, 'extensions'),
  });
  const connection = await instance.connect();
  const close = () => {
    connection.closeSync();
    instance.closeSync();
  };
  try {
    for (const sql of [
      "SET TimeZone = 'UTC'",
      ...macros,
      `SET allowed_paths = [${list(files.map(literal))}]`,
      `SET allowed_directories = [${literal(`${folder}/`)}]`,
      'SET enable_external_access = false',
      'SET lock_configuration = true',
    ])
      await connection.run(sql);
  } catch (error) {
    close();
    throw error;
  }
  return { connection, close };
}
