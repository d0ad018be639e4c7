import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Row } from './row.ts';

const folder = join(import.meta.dirname, 'rows');

/** All rows, in the order of their files: each file in `rows/` exports some as `rows`. */
export async function loadRows(): Promise<readonly Row[]> {
  const files = (await readdir(folder)).filter((file) => /^\d+-.*\.ts$/.test(file)).sort();
  const found = await Promise.all(
    files.map(async (file) => ((await import(join(folder, file))) as { rows: readonly Row[] }).rows),
  );
  return found.flat();
}
