/**
 * Bare DuckDB in a process of its own, with the settings of the feature store's jobs. Arguments: folder, files to read.
 * Messages in: { statements, read }: runs the statements in a new instance and fetches the rows of `read`, looking at none;
 * out: milliseconds.
 */
import { openInstance } from '../../../services/feature-store/src/duckdb/instance.ts';

const [folder = '', ...files] = process.argv.slice(2);
const opening = { folder, files, memoryMb: 2048, diskMb: 16_384, threads: 2 };

process.on('message', async (asked: { statements: readonly string[]; read?: string }) => {
  const begun = performance.now();
  const { connection, close } = await openInstance(opening);
  for (const sql of asked.statements) await connection.run(sql);
  if (asked.read) {
    const result = await connection.stream(asked.read);
    while ((await result.fetchChunk())?.rowCount);
  }
  close();
  process.send?.(performance.now() - begun);
});
process.stdout.write('{"ready":true}\n');
